# SPDX-License-Identifier: MIT
# `cpack -G DEB` in a build of the preset "package" (make package): tessera (the program, manual
# pages, completions, documents), libtessera0 (the shared library) and libtessera-dev. Dependencies
# are those dpkg-shlibdeps finds. The program has the library in itself and needs no libtessera0.
set(TESSERA_MAINTAINER "The Tessera authors <tessera@localhost>" CACHE STRING
    "who answers for the Debian packages: NAME <ADDRESS>")
set(library_package libtessera${PROJECT_VERSION_MAJOR})
if(TESSERA_PACKAGE)
  foreach(pair "program tessera" "library ${library_package}" "development libtessera-dev")
    separate_arguments(pair)
    list(POP_FRONT pair component package)
    install(FILES cmake/debian-copyright RENAME copyright COMPONENT ${component}
            DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package})
  endforeach()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tessera)
set(CPACK_PACKAGE_VENDOR "Tessera")
set(CPACK_PACKAGE_CONTACT "${TESSERA_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "pictures as discrete tokens, and back")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program library development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME tessera)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(opened_libraries libvulkan1) # when wanted, not linked: dpkg-shlibdeps does not see them
if(TESSERA_VIDEO)
  string(REGEX MATCH "^[0-9]+" major "${TESSERA_LIBAVFILTER_VERSION}")
  string(APPEND opened_libraries ", libavfilter${major}")
endif()
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "${opened_libraries}, ca-certificates")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS "mesa-vulkan-drivers, bash-completion")
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
    "The program tessera turns pictures into short lists of integers (token files), decodes them
again, measures what survived and trains codebooks, on the CPU or through Vulkan on any GPU. A
tokenizer is bundled; weights of published ones are fetched by name.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library_package})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "${opened_libraries}")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
    "The shared library libtessera, for programs that encode pictures to discrete tokens and decode
them. The bundled tokenizer is part of it.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtessera-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${library_package} (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
    "Headers, the static library, pkg-config files and the CMake package of libtessera.")
include(CPack)
