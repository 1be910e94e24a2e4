# SPDX-License-Identifier: MIT
# tests/unit/test_<x>.c, tests/ops/op_<x>.c and tests/corrupt/corrupt_<x>.c are one Check program
# each; tests/cli/*.sh one test each (they get the built program's path in $TESSERA). Exit 77 means
# skipped, with the reason printed.
pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)
file(GLOB tessera_test_sources CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/tests/unit/test_*.c ${CMAKE_SOURCE_DIR}/tests/ops/op_*.c
     ${CMAKE_SOURCE_DIR}/tests/corrupt/corrupt_*.c)
file(GLOB tessera_test_support CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.c)
# Compiled once, as objects: each test gets all of it.
add_library(tessera_test_support OBJECT ${tessera_test_support})
target_include_directories(tessera_test_support PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/tests/support)
target_compile_options(tessera_test_support PRIVATE -Wall -Wextra)
target_compile_definitions(tessera_test_support PUBLIC _GNU_SOURCE TESSERA_EXPERIMENTAL
  TESSERA_SHARED="${CMAKE_SOURCE_DIR}/../shared" TESSERA_TESTS="${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tessera_test_support PUBLIC tessera_static PkgConfig::CHECK)
foreach(source ${tessera_test_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_compile_options(${name} PRIVATE -Wall -Wextra)
  target_link_libraries(${name} PRIVATE tessera_test_support)
  add_test(NAME ${name} COMMAND ${name})
  # Check's own four seconds a test are too few under a sanitizer on a busy machine.
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200
                       ENVIRONMENT "CK_DEFAULT_TIMEOUT=300")
endforeach()
# The longest begin first, so that no core waits for one of them at the end.
set_tests_properties(test_karl test_grid PROPERTIES COST 100)
file(GLOB tessera_script_tests CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/tests/cli/*.sh ${CMAKE_SOURCE_DIR}/tests/arrows/*.sh)
foreach(script ${tessera_script_tests})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME ${name} COMMAND bash ${script})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 ENVIRONMENT
    "TESSERA=${CMAKE_BINARY_DIR}/tessera;CC=${CMAKE_C_COMPILER};CXX=${CMAKE_CXX_COMPILER};SOURCE=${CMAKE_SOURCE_DIR};BUILD=${CMAKE_BINARY_DIR};SHARED=${CMAKE_SOURCE_DIR}/../shared")
endforeach()
set_tests_properties(verify_cases encode_decode PROPERTIES COST 50)
