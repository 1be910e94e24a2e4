# SPDX-License-Identifier: MIT
# Programs behind scripts/radv-table.sh, and the table as a test: nothing may spill registers. The
# arithmetic of the scripts that count machine code and estimate from it.
if(NOT TESSERA_VULKAN)
  return()
endif()
add_test(NAME gpu_bounds_counting COMMAND python3 -B ${CMAKE_SOURCE_DIR}/tests/evidence/gpu_bounds.py)
add_test(NAME gpu_estimate COMMAND python3 -B ${CMAKE_SOURCE_DIR}/tests/evidence/gpu_estimate.py)
add_executable(collect_dispatches tests/evidence/collect_dispatches.c)
target_include_directories(collect_dispatches PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(collect_dispatches PRIVATE -Wall -Wextra)
target_compile_definitions(collect_dispatches PRIVATE _GNU_SOURCE TESSERA_EXPERIMENTAL)
target_link_libraries(collect_dispatches PRIVATE tessera_static)
target_link_options(collect_dispatches PRIVATE -Wl,--wrap=tsr_run_emit -Wl,--wrap=tsr_bench_time
                    -Wl,--wrap=tsr_bench_program)
# For scripts/gpu-counts.sh: recordings of models of published size in seconds.
add_executable(record_only tests/evidence/record_only.c)
target_include_directories(record_only PRIVATE ${CMAKE_SOURCE_DIR} ${TESSERA_VOLK_INCLUDE})
target_compile_options(record_only PRIVATE -Wall -Wextra)
target_compile_definitions(record_only PRIVATE _GNU_SOURCE TESSERA_EXPERIMENTAL VK_NO_PROTOTYPES)
target_link_libraries(record_only PRIVATE tessera_static)
target_link_options(record_only PRIVATE -Wl,--wrap=vulkan_load_device_table)
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
  # A chip of each generation; all of them in scripts/check-long.sh.
  add_test(NAME radv_spills COMMAND bash ${CMAKE_SOURCE_DIR}/scripts/radv-table.sh ${CMAKE_BINARY_DIR})
  set_tests_properties(radv_spills PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600
                       ENVIRONMENT "OUT=${CMAKE_BINARY_DIR}/RADV.md;CHIPS=polaris10 navi21 gfx1100")
  # Skipped unless TESSERA_DEBIAN13 names a folder that scripts/gpu-bounds.sh has prepared.
  add_test(NAME gpu_bounds COMMAND bash ${CMAKE_SOURCE_DIR}/scripts/gpu-bounds.sh)
  set_tests_properties(gpu_bounds PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600
                       ENVIRONMENT "OUT=${CMAKE_BINARY_DIR}/gpu")
endif()
