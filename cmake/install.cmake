# SPDX-License-Identifier: MIT
# cmake --install: the program, libtessera and libtessera-runner shared and static, headers, their .pc
# files and the CMake package (tessera::tessera, tessera::tessera_static, tessera::tessera_runner_shared,
# tessera::tessera_runner). Components are what the Debian packages are
# made of (cmake/deb.cmake).
include(CMakePackageConfigHelpers)
set(tessera_package ${CMAKE_INSTALL_LIBDIR}/cmake/tessera)

install(TARGETS tessera tessera_static tessera_runner_shared tessera_runner EXPORT tessera_targets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
if(TARGET tessera_cli)
  install(TARGETS tessera_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()
install(DIRECTORY include/tessera DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
        FILES_MATCHING PATTERN "*.h")

install(EXPORT tessera_targets NAMESPACE tessera:: FILE tessera-targets.cmake
        DESTINATION ${tessera_package} COMPONENT development)
configure_package_config_file(cmake/package.cmake.in ${CMAKE_BINARY_DIR}/generated/tessera-config.cmake
                              INSTALL_DESTINATION ${tessera_package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/tessera-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/generated/tessera-config.cmake
              ${CMAKE_BINARY_DIR}/generated/tessera-config-version.cmake
        DESTINATION ${tessera_package} COMPONENT development)

# pkg-config files find the tree from where they lie, so that a moved or staged one works. The static
# library has a file of its own: `pkg-config --static` would ask for the static forms of every library too.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(TESSERA_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(TESSERA_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
  set(TESSERA_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(TESSERA_PC_PREFIX "\${pcfiledir}/${up}")
  set(TESSERA_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(TESSERA_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
list(JOIN tessera_modules ", " TESSERA_PC_MODULES)
list(TRANSFORM tessera_plain_libraries PREPEND "-l" OUTPUT_VARIABLE plain)
list(JOIN plain " " TESSERA_PC_LIBS)
list(TRANSFORM tessera_runner_modules PREPEND ", " OUTPUT_VARIABLE plain)
list(JOIN plain "" TESSERA_PC_RUNNER_MODULES)
foreach(name tessera tessera-static tessera-runner tessera-runner-static)
  configure_file(cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/generated/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/generated/${name}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()
