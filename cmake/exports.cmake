# SPDX-License-Identifier: MIT
# The shared library exports what include/tessera/*.h declare and nothing else: the inner tsr_* calls
# of compute/ and its neighbours stay free to change. Sets tessera_export_map.
set(tessera_export_map ${CMAKE_BINARY_DIR}/generated/tessera.map)
file(GLOB tessera_public_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/tessera/*.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${tessera_public_headers})
set(names "")
foreach(header ${tessera_public_headers})
  file(STRINGS ${header} lines REGEX "^[a-z].*[ *]tsr_[a-z0-9_]+\\(")
  foreach(line ${lines})
    string(REGEX MATCH "tsr_[a-z0-9_]+\\(" name "${line}")
    string(REPLACE "(" "" name "${name}")
    list(APPEND names ${name})
  endforeach()
endforeach()
list(REMOVE_DUPLICATES names)
list(SORT names)
list(JOIN names ";\n    " body)
file(CONFIGURE OUTPUT ${tessera_export_map} CONTENT
     "{\n  global:\n    @body@;\n  local:\n    *;\n};\n" @ONLY)
