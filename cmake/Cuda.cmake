# Finds a CUDA toolkit, if there is one. CUDA stays a guest: nvcc compiles the .cu files to objects by custom commands,
# and g++ links all programs as ever.
#   SLUICE_CUDA=AUTO  build the CUDA rooms if a toolkit is found (default)
#   SLUICE_CUDA=ON    it is an error if none is
#   SLUICE_CUDA=OFF   do not look
# Sets SLUICE_HAVE_CUDA.
include_guard()

set(SLUICE_CUDA AUTO CACHE STRING "CUDA kernels: AUTO (if a toolkit is found), ON or OFF")
set_property(CACHE SLUICE_CUDA PROPERTY STRINGS AUTO ON OFF)
# sm_80 is the oldest that the kernels run on; they are tuned for sm_90, whose PTX is kept for what comes after.
set(SLUICE_CUDA_GENCODE "-gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90]"
  CACHE STRING "nvcc's -gencode options")

set(SLUICE_HAVE_CUDA FALSE)
set(reason "")
if(SLUICE_CUDA STREQUAL "OFF")
  set(reason "SLUICE_CUDA is OFF")
elseif(SLUICE_FUZZ)
  set(reason "a fuzzing build has no device code")
else()
  find_package(CUDAToolkit 11.8 QUIET)
  if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
    set(reason "no CUDA toolkit 11.8 or newer (nvcc) was found")
  elseif(CUDAToolkit_VERSION VERSION_LESS 12.1)
    # Older ones take no g++ 12.
    find_program(SLUICE_CUDA_HOST_COMPILER NAMES g++-11 g++-10)
    if(NOT SLUICE_CUDA_HOST_COMPILER)
      set(reason "CUDA ${CUDAToolkit_VERSION} needs g++-11 beside g++")
    endif()
  else()
    set(SLUICE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER} CACHE FILEPATH "nvcc's host compiler")
  endif()
endif()
if(reason)
  if(SLUICE_CUDA AND NOT SLUICE_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "SLUICE_CUDA=ON, but ${reason}. Put nvcc on PATH or set CUDAToolkit_ROOT.")
  endif()
  message(STATUS "CUDA: left out; ${reason}")
else()
  set(SLUICE_HAVE_CUDA TRUE)
  message(STATUS "CUDA: ${CUDAToolkit_VERSION}, ${CUDAToolkit_NVCC_EXECUTABLE}")
endif()

# sluice_cuda_object(<out> <file.cu>): an object to add to a module's sources. No contraction: all backends agree bit
# for bit. C++17, so that CUDA 11.8 suffices.
function(sluice_cuda_object out source)
  get_filename_component(name ${source} NAME)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
  separate_arguments(gencode NATIVE_COMMAND "${SLUICE_CUDA_GENCODE}")
  add_custom_command(OUTPUT ${object}
    COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} -std=c++17 -O3 -fmad=false -lineinfo ${gencode} -ccbin ${SLUICE_CUDA_HOST_COMPILER}
      -I${CMAKE_SOURCE_DIR} -Xcompiler=-Wall,-Wextra -Werror=all-warnings -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d
    COMMENT "nvcc ${name}" VERBATIM)
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  set(${out} ${object} PARENT_SCOPE)
endfunction()
