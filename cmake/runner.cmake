# SPDX-License-Identifier: MIT
# libtessera-runner: what brings tokens to language models, shared and static. A library of its own,
# so that libtessera opens no connection and loads no runner.
#
# The shared one has its own copy of what it needs of the inside of libtessera, hidden: the inner
# calls are not exported there and stay free to change. Both have no global state, so that two copies
# do not know of each other; they are of one build, since they are installed and packed together.
file(GLOB tessera_runner_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runner/*.c
     ${CMAKE_SOURCE_DIR}/runner/*.S)
file(GLOB tessera_vocabulary_maps CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runner/maps/*.json)
set_source_files_properties(${CMAKE_SOURCE_DIR}/runner/maps.S PROPERTIES
  INCLUDE_DIRECTORIES "${CMAKE_SOURCE_DIR}/runner;${CMAKE_SOURCE_DIR}/runner/maps"
  OBJECT_DEPENDS "${tessera_vocabulary_maps};${CMAKE_SOURCE_DIR}/runner/maps.def")
add_library(tessera_runner_objects OBJECT ${tessera_runner_sources})
target_compile_options(tessera_runner_objects PRIVATE -Wall -Wextra)
target_compile_definitions(tessera_runner_objects PRIVATE _GNU_SOURCE)
target_include_directories(tessera_runner_objects PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
set(tessera_runner_libraries ${CMAKE_DL_LIBS})
set(tessera_runner_modules "") # by pkg-config module, for users of the static library
# Servers are spoken to through libcurl.
if(TESSERA_SERVERS)
  pkg_check_modules(TESSERA_RUNNER_CURL IMPORTED_TARGET libcurl>=7.68)
  if(TESSERA_RUNNER_CURL_FOUND)
    list(APPEND tessera_runner_libraries PkgConfig::TESSERA_RUNNER_CURL)
    list(APPEND tessera_runner_modules libcurl)
    target_link_libraries(tessera_runner_objects PRIVATE PkgConfig::TESSERA_RUNNER_CURL)
    target_compile_definitions(tessera_runner_objects PRIVATE TESSERA_WITH_SERVERS=1)
  else()
    message(WARNING "libcurl was not found: `tessera run --server` will be refused "
                    "(libcurl4-openssl-dev; -DTESSERA_SERVERS=OFF silences this)")
  endif()
endif()

file(GLOB tessera_runner_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/tessera/runner/*.h)
tessera_exports(${CMAKE_BINARY_DIR}/generated/tessera-runner.map ${tessera_runner_headers})
add_library(tessera_runner STATIC $<TARGET_OBJECTS:tessera_runner_objects>)
add_library(tessera_runner_shared SHARED $<TARGET_OBJECTS:tessera_runner_objects>)
foreach(target tessera_runner tessera_runner_shared)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME tessera-runner)
endforeach()
target_link_libraries(tessera_runner PUBLIC tessera_static
                      $<BUILD_INTERFACE:${tessera_runner_libraries}>)
target_link_libraries(tessera_runner_shared PUBLIC tessera
                      PRIVATE $<BUILD_INTERFACE:tessera_static> $<BUILD_INTERFACE:${tessera_runner_libraries}>)
target_link_options(tessera_runner_shared PRIVATE
  -Wl,--version-script=${CMAKE_BINARY_DIR}/generated/tessera-runner.map -Wl,--as-needed)
if(NOT TESSERA_SANITIZE) # the sanitizers' own symbols are the program's to bring
  target_link_options(tessera_runner_shared PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(tessera_runner_shared PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${CMAKE_BINARY_DIR}/generated/tessera-runner.map)
