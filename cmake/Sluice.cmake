# Build vocabulary of the house: flags, modules with walls, tests, programs.
include_guard()
include(CTest)
include(Walls)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Release keeps line tables: a crash report from the field must name lines.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")

set(SLUICE_SANITIZE "" CACHE STRING "Comma list of sanitizers, e.g. address,undefined or thread")
option(SLUICE_FUZZ "Build libFuzzer targets (needs clang)" OFF)

find_program(SLUICE_CCACHE ccache)
if(SLUICE_CCACHE)
  # ccache keeps objects that use a precompiled header only when told so.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${SLUICE_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(Catch2 2 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(HIREDIS REQUIRED hiredis)  # its flags would rule out the precompiled headers; its library alone is needed
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(TOMLPLUSPLUS REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(UCX REQUIRED IMPORTED_TARGET ucx)
find_package(dnnl REQUIRED)
include(Cuda)

add_library(sluice_flags INTERFACE)
target_compile_options(sluice_flags INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers)
target_include_directories(sluice_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(sluice_flags INTERFACE SPDLOG_FMT_EXTERNAL SLUICE_VERSION="${PROJECT_VERSION}")
target_link_libraries(sluice_flags INTERFACE Threads::Threads)
if(SLUICE_FUZZ)
  # The standard library of g++ 12 calls what it deprecates itself (std::stable_sort), which clang tells.
  target_compile_options(sluice_flags INTERFACE -Wno-deprecated-declarations)
  target_compile_options(sluice_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SLUICE_SANITIZE)
  target_compile_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()

# Precompiled headers: what most files read anyway. A file that needs other compiler flags than its target's neighbours
# (vector code) goes without. OFF shows includes that are missing; the fuzzing build has it off.
# Whoever sees nlohmann/json.hpp pays 0.45 s an object, used or not: its literals instantiate the whole parser. So only
# rooms where most files use it have it precompiled.
option(SLUICE_PCH "Precompile the heavy headers" ON)
set(SLUICE_PCH_base <algorithm> <chrono> <cmath> <cstdint> <functional> <map> <memory> <optional> <span> <string>
  <string_view> <unordered_map> <variant> <vector> <fmt/format.h>)
set(SLUICE_PCH_json ${SLUICE_PCH_base} <nlohmann/json.hpp>)
set(SLUICE_PCH_net ${SLUICE_PCH_json} <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp> <boost/asio/post.hpp>
  <boost/asio/steady_timer.hpp> <boost/asio/write.hpp>)
set(SLUICE_PCH_jinja ${SLUICE_PCH_base} <boost/multiprecision/cpp_int.hpp>)
set(SLUICE_PCH_test ${SLUICE_PCH_net} <catch2/catch.hpp>)
set(SLUICE_PCH_plain_test ${SLUICE_PCH_base} <catch2/catch.hpp>)
if(SLUICE_PCH)
  foreach(set base json net jinja test plain_test)
    file(WRITE ${CMAKE_BINARY_DIR}/pch/${set}.cpp "")
    add_library(sluice_pch_${set} OBJECT ${CMAKE_BINARY_DIR}/pch/${set}.cpp)
    target_link_libraries(sluice_pch_${set} PRIVATE sluice_flags fmt::fmt nlohmann_json::nlohmann_json Boost::headers)
    target_precompile_headers(sluice_pch_${set} PRIVATE ${SLUICE_PCH_${set}})
  endforeach()
  target_link_libraries(sluice_pch_test PRIVATE Catch2::Catch2)
  target_link_libraries(sluice_pch_plain_test PRIVATE Catch2::Catch2)
endif()

function(sluice_precompile target set)
  if(SLUICE_PCH AND NOT set STREQUAL "none")
    target_precompile_headers(${target} REUSE_FROM sluice_pch_${set})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # With a precompiled header g++ 12 takes copies of short literals into std::string for overruns (its bug 105651).
      target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-stringop-overread)
    endif()
    # At the folder's end, when all flags of its files are known.
    cmake_language(EVAL CODE "cmake_language(DEFER CALL sluice_skip_own_flags ${target})")
  endif()
endfunction()
function(sluice_skip_own_flags target)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_source_file_property(own ${source} COMPILE_OPTIONS)
    if(own)
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()

# Where many small files read the same large headers, a few of them are compiled together (UNITY below). OFF compiles
# each alone: for clang-tidy, and to see that each can be.
option(SLUICE_UNITY "Compile the small files of some rooms together" ON)

# add_module(sluice_<room>[_<part>] SOURCES a.cpp ... [DEPS sluice_x ...] [LIBS external ...] [PCH base|json|net|jinja|none]
#            [UNITY n])
# DEPS are checked against the walls; LIBS are outside libraries; UNITY: so many files make one object.
function(add_module name)
  cmake_parse_arguments(M "" "PCH;UNITY" "SOURCES;DEPS;LIBS" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  sluice_check_walls(${name} ${folder} ${M_DEPS})
  add_library(${name} STATIC ${M_SOURCES})
  target_link_libraries(${name} PUBLIC sluice_flags ${M_DEPS} ${M_LIBS})
  if(NOT M_PCH)
    set(M_PCH base)
  endif()
  sluice_precompile(${name} ${M_PCH})
  if(M_UNITY AND SLUICE_UNITY)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${M_UNITY})
  endif()
endfunction()

# add_program(<binary> SOURCES ... DEPS ... [LIBS ...] [PCH base|json|net|none])
function(add_program name)
  cmake_parse_arguments(P "" "PCH" "SOURCES;DEPS;LIBS" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  sluice_check_walls(${name} ${folder} ${P_DEPS})
  add_executable(${name} ${P_SOURCES})
  target_link_libraries(${name} PRIVATE sluice_flags ${P_DEPS} ${P_LIBS})
  if(NOT P_PCH)
    set(P_PCH base)
  endif()
  sluice_precompile(${name} ${P_PCH})
endfunction()

# add_sluice_test(<name> SOURCES ... DEPS ... [LABELS ...] [TIMEOUT s] [SERIAL] [PLAIN] [FRONTS]): a Catch2 program; each
# TEST_CASE is one ctest test (SERIAL: nothing runs beside it; PLAIN: few of its files see JSON or sockets; FRONTS: all
# of it once more with the front on three threads, see tests/support/server_fixture.h). A test that
# can't run here prints "[SKIPPED] why" (SLUICE_SKIP in tests/support/skip.h).
include(Catch OPTIONAL)
function(add_sluice_test name)
  cmake_parse_arguments(T "SERIAL;PLAIN;FRONTS" "TIMEOUT" "SOURCES;DEPS;LIBS;LABELS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE sluice_flags sluice_tests_main ${T_DEPS} ${T_LIBS})
  if(T_PLAIN)
    sluice_precompile(${name} plain_test)
  else()
    sluice_precompile(${name} test)
  endif()
  target_compile_definitions(${name} PRIVATE SLUICE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SLUICE_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  catch_discover_tests(${name} TEST_PREFIX "${name}: "
    PROPERTIES SKIP_REGULAR_EXPRESSION "\\[SKIPPED\\]" TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}" RUN_SERIAL ${T_SERIAL})
  if(T_FRONTS)
    add_test(NAME "${name}: all of it over three front threads" COMMAND ${name})
    set_tests_properties("${name}: all of it over three front threads" PROPERTIES
      ENVIRONMENT SLUICE_TEST_FRONT_THREADS=3 TIMEOUT 300 LABELS "${T_LABELS}")
  endif()
endfunction()
