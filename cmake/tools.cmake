# SPDX-License-Identifier: MIT
file(GLOB tessera_tool_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.c)
if(tessera_tool_sources)
  # The style and the script of report pages and the page of the server are linked in as they are.
  set(tessera_report_style ${CMAKE_SOURCE_DIR}/tools/report.css)
  set(tessera_report_script ${CMAKE_SOURCE_DIR}/tools/report.js)
  set(tessera_serve_page ${CMAKE_SOURCE_DIR}/tools/serve_page.html)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/tools/page_assets.S PROPERTIES
    COMPILE_DEFINITIONS "TESSERA_REPORT_STYLE=\"${tessera_report_style}\";TESSERA_REPORT_SCRIPT=\"${tessera_report_script}\";TESSERA_SERVE_PAGE=\"${tessera_serve_page}\""
    OBJECT_DEPENDS "${tessera_report_style};${tessera_report_script};${tessera_serve_page}")
  add_executable(tessera_cli ${tessera_tool_sources} ${CMAKE_SOURCE_DIR}/tools/page_assets.S)
  set_target_properties(tessera_cli PROPERTIES OUTPUT_NAME tessera)
  target_compile_options(tessera_cli PRIVATE -Wall -Wextra)
  target_compile_definitions(tessera_cli PRIVATE _GNU_SOURCE TESSERA_EXPERIMENTAL)
  target_link_libraries(tessera_cli PRIVATE tessera_static)
  if(TARGET tessera_runner)
    target_link_libraries(tessera_cli PRIVATE tessera_runner)
  endif()
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
  # It alone answers others, too.
  if(TESSERA_SERVE)
    pkg_check_modules(TESSERA_MICROHTTPD IMPORTED_TARGET libmicrohttpd>=0.9.71)
    if(TESSERA_MICROHTTPD_FOUND)
      target_link_libraries(tessera_cli PRIVATE PkgConfig::TESSERA_MICROHTTPD)
      target_compile_definitions(tessera_cli PRIVATE TESSERA_WITH_SERVE="${TESSERA_MICROHTTPD_VERSION}")
    else()
      message(WARNING "libmicrohttpd was not found: `tessera serve` will say how to get it "
                      "(libmicrohttpd-dev; -DTESSERA_SERVE=OFF silences this)")
    endif()
  endif()
  # So does it draw text and plots.
  if(TESSERA_PANGO)
    pkg_check_modules(TESSERA_PANGO_LIBRARIES IMPORTED_TARGET pangocairo>=1.44 fontconfig)
    if(TESSERA_PANGO_LIBRARIES_FOUND)
      target_link_libraries(tessera_cli PRIVATE PkgConfig::TESSERA_PANGO_LIBRARIES)
      target_compile_definitions(tessera_cli PRIVATE
        TESSERA_WITH_PANGO="${TESSERA_PANGO_LIBRARIES_pangocairo_VERSION}")
    else()
      message(WARNING "pangocairo was not found: contact sheets will have no labels, plots are SVG alone and "
                      "`tessera pages` draws nothing (libpango1.0-dev; -DTESSERA_PANGO=OFF silences this)")
    endif()
  endif()
endif()

# The sample pictures of `make demo` and of the tests are drawn, not kept.
file(GLOB tessera_sample_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/samples/*.c)
add_executable(make_samples ${tessera_sample_sources})
target_compile_options(make_samples PRIVATE -Wall -Wextra)
target_compile_definitions(make_samples PRIVATE _GNU_SOURCE)
target_link_libraries(make_samples PRIVATE tessera_static)
