# SPDX-License-Identifier: MIT
# libtessera-runner: what brings tokens to language models. A library of its own, so that libtessera
# opens no connection and loads no runner.
file(GLOB tessera_runner_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runner/*.c)
if(tessera_runner_sources)
  add_library(tessera_runner STATIC ${tessera_runner_sources})
  set_target_properties(tessera_runner PROPERTIES OUTPUT_NAME tessera-runner)
  target_compile_options(tessera_runner PRIVATE -Wall -Wextra)
  target_compile_definitions(tessera_runner PRIVATE _GNU_SOURCE)
  target_include_directories(tessera_runner PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(tessera_runner PUBLIC tessera_static ${CMAKE_DL_LIBS})
  # Servers are spoken to through libcurl.
  if(TESSERA_SERVERS)
    pkg_check_modules(TESSERA_RUNNER_CURL IMPORTED_TARGET libcurl>=7.68)
    if(TESSERA_RUNNER_CURL_FOUND)
      target_link_libraries(tessera_runner PRIVATE PkgConfig::TESSERA_RUNNER_CURL)
      target_compile_definitions(tessera_runner PRIVATE TESSERA_WITH_SERVERS=1)
    else()
      message(WARNING "libcurl was not found: `tessera run --server` will be refused "
                      "(libcurl4-openssl-dev; -DTESSERA_SERVERS=OFF silences this)")
    endif()
  endif()
endif()
