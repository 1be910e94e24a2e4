# SPDX-License-Identifier: MIT
# A shared library exports what its public headers declare and nothing else: the inner tsr_* calls
# of compute/ and its neighbours stay free to change.
function(tessera_exports map) # headers...
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
  set(names "")
  foreach(header ${ARGN})
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
  file(CONFIGURE OUTPUT ${map} CONTENT "{\n  global:\n    @body@;\n  local:\n    *;\n};\n" @ONLY)
endfunction()
set(tessera_export_map ${CMAKE_BINARY_DIR}/generated/tessera.map)
file(GLOB tessera_public_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/tessera/*.h)
tessera_exports(${tessera_export_map} ${tessera_public_headers})
