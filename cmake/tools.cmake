# SPDX-License-Identifier: MIT
file(GLOB tessera_tool_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.c)
if(tessera_tool_sources)
  add_executable(tessera_cli ${tessera_tool_sources})
  set_target_properties(tessera_cli PROPERTIES OUTPUT_NAME tessera)
  target_compile_options(tessera_cli PRIVATE -Wall -Wextra)
  target_compile_definitions(tessera_cli PRIVATE _GNU_SOURCE TESSERA_EXPERIMENTAL)
  target_link_libraries(tessera_cli PRIVATE tessera_static)
endif()
