# SPDX-License-Identifier: MIT
# A part of the program that needs libraries of its own: the option TESSERA_<option> asks for it, TESSERA_WITH_<part>
# is the version of `module`, the first of `modules` of pkg-config. `missing` is what is said without them.
function(tessera_optional_part option part module modules missing)
  if(NOT TESSERA_${option})
    return()
  endif()
  pkg_check_modules(TESSERA_PART_${part} IMPORTED_TARGET ${modules})
  if(NOT TESSERA_PART_${part}_FOUND)
    message(WARNING "${missing}; -DTESSERA_${option}=OFF silences this)")
    return()
  endif()
  # Of one module the version stands without its name.
  set(version ${TESSERA_PART_${part}_${module}_VERSION})
  if(NOT version)
    set(version ${TESSERA_PART_${part}_VERSION})
  endif()
  target_link_libraries(tessera_cli PRIVATE PkgConfig::TESSERA_PART_${part})
  target_compile_definitions(tessera_cli PRIVATE TESSERA_WITH_${part}="${version}")
endfunction()

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
  tessera_optional_part(FETCH CURL libcurl "libcurl>=7.68"
    "libcurl was not found: `tessera fetch` will say what to download and where to put it, but not do it (libcurl4-openssl-dev")
  # It alone answers others, too.
  tessera_optional_part(SERVE SERVE libmicrohttpd "libmicrohttpd>=0.9.71"
    "libmicrohttpd was not found: `tessera serve` will say how to get it (libmicrohttpd-dev")
  # So does it draw text and plots.
  tessera_optional_part(PANGO PANGO pangocairo "pangocairo>=1.44;fontconfig"
    "pangocairo was not found: contact sheets will have no labels, plots are SVG alone and `tessera pages` draws nothing (libpango1.0-dev")
endif()

# The sample pictures of `make demo` and of the tests are drawn, not kept.
file(GLOB tessera_sample_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/samples/*.c)
add_executable(make_samples ${tessera_sample_sources})
target_compile_options(make_samples PRIVATE -Wall -Wextra)
target_compile_definitions(make_samples PRIVATE _GNU_SOURCE)
target_link_libraries(make_samples PRIVATE tessera_static)
