# Where things go on a system, and the Debian packages of it. `make package` builds them.
#
#   sluice             daemons, sluicectl, units, configuration, completion, dashboards and rules, documents
#   sluice-tools       sluice-bench and sluice-profiler
#   sluice-model-tiny  the bundled model (no architecture)
#
# Each install() names its package as COMPONENT. The target sluice_package_files builds all that is installed and no more.
include_guard()
if(SLUICE_FUZZ OR NOT TARGET sluicectl)
  return()
endif()
include(GNUInstallDirs)
set(SLUICE_DEPLOY ${CMAKE_SOURCE_DIR}/deploy)
set(SLUICE_SHARE ${CMAKE_INSTALL_DATADIR}/sluice)
set(SLUICE_MADE ${CMAKE_BINARY_DIR}/packaging)  # what is made for packages: pages, completion, units
set(SLUICE_DAEMON_PROGRAMS sluice-coordinator sluice-prefill sluice-decode sluicectl)
set(SLUICE_TOOL_PROGRAMS sluice-bench sluice-profiler)

# A package's programs are linked so that nothing can be written over their tables of functions.
foreach(program IN LISTS SLUICE_DAEMON_PROGRAMS SLUICE_TOOL_PROGRAMS)
  target_link_options(${program} PRIVATE LINKER:-z,relro,-z,now)
endforeach()

# Manual pages and shell completion say what --help says.
find_program(SLUICE_PYTHON python3 REQUIRED)
file(GLOB SLUICE_HELP_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/help_pages/*.py)
add_custom_command(
  OUTPUT ${SLUICE_MADE}/help.stamp
  COMMAND ${SLUICE_PYTHON} ${CMAKE_SOURCE_DIR}/tools/help_pages --bin ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
          --version ${PROJECT_VERSION} --news ${SLUICE_DEPLOY}/packages/changelog.Debian --out ${SLUICE_MADE}
  COMMAND ${CMAKE_COMMAND} -E touch ${SLUICE_MADE}/help.stamp
  DEPENDS ${SLUICE_HELP_SOURCES} ${SLUICE_DEPLOY}/packages/changelog.Debian ${SLUICE_DAEMON_PROGRAMS} ${SLUICE_TOOL_PROGRAMS}
  COMMENT "Manual pages and completion from --help" VERBATIM)
set(SLUICE_NEWS ${SLUICE_DEPLOY}/packages/changelog.Debian ${CMAKE_SOURCE_DIR}/CHANGELOG.md)
add_custom_command(
  OUTPUT ${SLUICE_MADE}/news.stamp
  COMMAND ${SLUICE_PYTHON} ${CMAKE_SOURCE_DIR}/tools/help_pages/compressed.py --out ${SLUICE_MADE}/doc ${SLUICE_NEWS}
  COMMAND ${CMAKE_COMMAND} -E touch ${SLUICE_MADE}/news.stamp
  DEPENDS ${SLUICE_NEWS} ${CMAKE_SOURCE_DIR}/tools/help_pages/compressed.py VERBATIM)
add_custom_target(sluice_package_files DEPENDS ${SLUICE_MADE}/help.stamp ${SLUICE_MADE}/news.stamp)

# Units: both roles of nodes have the same one, alone on a machine or as one of several.
foreach(ROLE IN ITEMS prefill decode)
  set(WHICH "")
  set(FILE "${ROLE}.toml")
  configure_file(${SLUICE_DEPLOY}/systemd/sluice-node.service.in ${SLUICE_MADE}/units/sluice-${ROLE}.service @ONLY)
  set(WHICH " %i")
  set(FILE "${ROLE}-%i.toml")
  configure_file(${SLUICE_DEPLOY}/systemd/sluice-node.service.in ${SLUICE_MADE}/units/sluice-${ROLE}@.service @ONLY)
endforeach()
configure_file(${SLUICE_DEPLOY}/systemd/sluice-coordinator.service ${SLUICE_MADE}/units/sluice-coordinator.service COPYONLY)

# install_help(<component> <program>...): pages and completion.
function(install_help component)
  foreach(program IN LISTS ARGN)
    install(DIRECTORY ${SLUICE_MADE}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT ${component}
      FILES_MATCHING REGEX "/${program}(-[a-z-]+)?\\.1\\.gz$")
    install(FILES ${SLUICE_MADE}/bash/${program} COMPONENT ${component}
      DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${SLUICE_MADE}/zsh/_${program} COMPONENT ${component}
      DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
  endforeach()
endfunction()
# install_package_documents(<package> <component>): what Debian wants of every package.
function(install_package_documents package component)
  install(FILES ${SLUICE_MADE}/doc/changelog.Debian.gz ${SLUICE_MADE}/doc/changelog.gz
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
  install(FILES ${SLUICE_DEPLOY}/packages/${package}.copyright RENAME copyright
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
  if(EXISTS ${SLUICE_DEPLOY}/packages/${package}.lintian-overrides)
    install(FILES ${SLUICE_DEPLOY}/packages/${package}.lintian-overrides RENAME ${package}
      DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides COMPONENT ${component})
  endif()
endfunction()

install(TARGETS ${SLUICE_DAEMON_PROGRAMS} RUNTIME COMPONENT sluice)
install(TARGETS ${SLUICE_TOOL_PROGRAMS} RUNTIME COMPONENT tools)
# One folder, so a glob decides by name whose a page is: sluicectl-up(1) is sluicectl's.
install_help(sluice ${SLUICE_DAEMON_PROGRAMS})
install_help(tools ${SLUICE_TOOL_PROGRAMS})
install_package_documents(sluice sluice)
install_package_documents(sluice-tools tools)
install_package_documents(sluice-model-tiny model)

install(DIRECTORY ${SLUICE_MADE}/units/ DESTINATION lib/systemd/system COMPONENT sluice)
install(FILES ${SLUICE_DEPLOY}/packages/sysusers.conf RENAME sluice.conf DESTINATION lib/sysusers.d COMPONENT sluice)
install(FILES ${SLUICE_DEPLOY}/packages/tmpfiles.conf RENAME sluice.conf DESTINATION lib/tmpfiles.d COMPONENT sluice)
# They may come to hold secrets: root's alone. systemd hands each service its own.
install(DIRECTORY ${SLUICE_DEPLOY}/config/ DESTINATION /etc/sluice COMPONENT sluice
  FILE_PERMISSIONS OWNER_READ OWNER_WRITE FILES_MATCHING PATTERN "*.toml")
install(DIRECTORY ${SLUICE_DEPLOY}/grafana DESTINATION ${SLUICE_SHARE} COMPONENT sluice)
install(FILES ${SLUICE_DEPLOY}/prometheus/prometheus.yml DESTINATION ${SLUICE_SHARE}/prometheus COMPONENT sluice)
install(DIRECTORY ${SLUICE_DEPLOY}/prometheus/rules ${SLUICE_DEPLOY}/prometheus/targets
  DESTINATION ${SLUICE_SHARE}/prometheus COMPONENT sluice FILES_MATCHING PATTERN "*.yml" PATTERN "*.md")
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sluice COMPONENT sluice)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sluice COMPONENT sluice
  FILES_MATCHING PATTERN "*.md" PATTERN "evidence" EXCLUDE PATTERN "images" EXCLUDE)
install(FILES ${SLUICE_DEPLOY}/systemd/credentials.conf ${SLUICE_DEPLOY}/systemd/rdma.conf
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sluice/examples COMPONENT sluice)
install(DIRECTORY models/sluice-tiny DESTINATION ${SLUICE_SHARE}/models COMPONENT model)
# Units name /usr/bin, where packages put the programs.
install(CODE "
  if(NOT CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
    message(NOTICE \"sluice: the systemd units name /usr/bin; with another prefix change their ExecStart=\")
  endif()" COMPONENT sluice)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Sluice developers <sluice@example.invalid>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_SET_DESTDIR ON)  # /etc is outside the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL sluice tools model)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_THREADS 1)  # several cut the stream elsewhere: other bytes on other machines
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_SLUICE_PACKAGE_NAME sluice)
set(CPACK_DEBIAN_SLUICE_PACKAGE_SHLIBDEPS ON)
# Whoever makes the user `sluice`.
set(CPACK_DEBIAN_SLUICE_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_SLUICE_PACKAGE_RECOMMENDS "sluice-model-tiny")
set(CPACK_DEBIAN_SLUICE_PACKAGE_SUGGESTS "sluice-tools, prometheus")
set(CPACK_COMPONENT_SLUICE_DESCRIPTION "LLM serving with prefill and decode on separate daemons
A coordinator takes OpenAI-style HTTP requests and picks, for each one, a
prefill node, a decode node and a KV compression profile, against latency
objectives and a quality budget. The KV cache crosses the network compressed,
sealed and layer by layer while prefill still computes.
.
This package has the three daemons with their units, and sluicectl, which also
runs a whole cluster on one machine.")
set(CPACK_DEBIAN_SLUICE_PACKAGE_CONTROL_EXTRA
  ${SLUICE_DEPLOY}/packages/conffiles ${SLUICE_DEPLOY}/packages/postinst
  ${SLUICE_DEPLOY}/packages/prerm ${SLUICE_DEPLOY}/packages/postrm)

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME sluice-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS "sluice, sluice-model-tiny, ucx-utils")
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "measures of Sluice's parts and of models
sluice-bench measures engine, transport and codecs, each figure beside a
reference from the same run. sluice-profiler finds the KV profiles worth
offering for a model, and calibrates them.")

set(CPACK_DEBIAN_MODEL_PACKAGE_NAME sluice-model-tiny)
set(CPACK_DEBIAN_MODEL_PACKAGE_ARCHITECTURE all)
set(CPACK_COMPONENT_MODEL_DESCRIPTION "small language model for trying Sluice
Four million parameters, trained so that damage to its KV cache shows: it
looks up facts in its context over thousands of tokens, and is no source of
knowledge.")
include(CPack)
