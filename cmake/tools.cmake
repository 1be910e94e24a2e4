# SPDX-License-Identifier: MIT
file(GLOB tessera_tool_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.c)
if(tessera_tool_sources)
  add_executable(tessera_cli ${tessera_tool_sources})
  set_target_properties(tessera_cli PROPERTIES OUTPUT_NAME tessera)
  target_compile_options(tessera_cli PRIVATE -Wall -Wextra)
  target_compile_definitions(tessera_cli PRIVATE _GNU_SOURCE TESSERA_EXPERIMENTAL)
  target_link_libraries(tessera_cli PRIVATE tessera_static)
  # Only the program talks to the network, so the library and its users never link libcurl.
  if(TESSERA_FETCH)
    pkg_check_modules(TESSERA_CURL IMPORTED_TARGET libcurl>=7.68)
    if(TESSERA_CURL_FOUND)
      target_link_libraries(tessera_cli PRIVATE PkgConfig::TESSERA_CURL)
      target_compile_definitions(tessera_cli PRIVATE TESSERA_WITH_CURL="${TESSERA_CURL_VERSION}")
    else()
      message(WARNING "libcurl was not found: `tessera fetch` will say what to download and where "
                      "to put it, but not do it (libcurl4-openssl-dev; -DTESSERA_FETCH=OFF silences this)")
    endif()
  endif()
endif()

# The sample pictures of `make demo` and of the tests are drawn, not kept.
file(GLOB tessera_sample_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/samples/*.c)
add_executable(make_samples ${tessera_sample_sources} ${CMAKE_SOURCE_DIR}/tools/stroke_font.c)
target_compile_options(make_samples PRIVATE -Wall -Wextra)
target_compile_definitions(make_samples PRIVATE _GNU_SOURCE)
target_link_libraries(make_samples PRIVATE tessera_static)
