# SPDX-License-Identifier: MIT
# Programs behind scripts/radv-table.sh, and the table as a test: nothing may spill registers.
if(NOT TESSERA_VULKAN)
  return()
endif()
add_executable(collect_dispatches tests/evidence/collect_dispatches.c)
target_include_directories(collect_dispatches PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(collect_dispatches PRIVATE -Wall -Wextra)
target_compile_definitions(collect_dispatches PRIVATE _GNU_SOURCE TESSERA_EXPERIMENTAL)
target_link_libraries(collect_dispatches PRIVATE tessera_static)
target_link_options(collect_dispatches PRIVATE -Wl,--wrap=tsr_run_emit -Wl,--wrap=tsr_bench_time
                    -Wl,--wrap=tsr_bench_program)
# How near products of f16 pairs come to f32's: the table of docs/gpu/EXACT.md.
add_executable(exact_products tests/evidence/exact_products.c)
target_include_directories(exact_products PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(exact_products PRIVATE -Wall -Wextra)
target_compile_definitions(exact_products PRIVATE _GNU_SOURCE TESSERA_EXPERIMENTAL)
target_link_libraries(exact_products PRIVATE tessera_static m)
add_test(NAME exact_products COMMAND exact_products)
add_test(NAME coopmat_sources COMMAND bash ${CMAKE_SOURCE_DIR}/scripts/coopmat.sh check)
pkg_check_modules(VULKAN_LOADER IMPORTED_TARGET vulkan)
if(VULKAN_LOADER_FOUND)
  add_executable(radv_compile tests/evidence/radv_compile.c)
  target_compile_options(radv_compile PRIVATE -Wall -Wextra)
  target_link_libraries(radv_compile PRIVATE PkgConfig::VULKAN_LOADER)
  add_test(NAME radv_spills COMMAND bash ${CMAKE_SOURCE_DIR}/scripts/radv-table.sh ${CMAKE_BINARY_DIR})
  set_tests_properties(radv_spills PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600
                       ENVIRONMENT "OUT=${CMAKE_BINARY_DIR}/RADV.md")
endif()
