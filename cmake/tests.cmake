# SPDX-License-Identifier: MIT
# tests/unit/test_<x>.c, tests/ops/op_<x>.c and tests/corrupt/corrupt_<x>.c are one Check program
# each, and one test each or, where the program has TEST_PARTS, one test for each PART (all of a
# program's tests have its name as their label);
# tests/cli/*.sh are one test each (they get the built program's path in $TESSERA); each line of
# tests/golden/cases.txt is one test for each of its devices. Exit 77 means skipped, with the reason
# printed as "skipped: why": scripts/test-summary.sh counts them.
pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)
# There are hundreds of programs to link, which the linker gold, where it is, does in a third of the time.
include(CheckLinkerFlag)
check_linker_flag(C -fuse-ld=gold TESSERA_LINKS_WITH_GOLD)
if(TESSERA_LINKS_WITH_GOLD)
  add_link_options(-fuse-ld=gold)
endif()
file(GLOB tessera_test_sources CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/tests/unit/test_*.c ${CMAKE_SOURCE_DIR}/tests/ops/op_*.c
     ${CMAKE_SOURCE_DIR}/tests/corrupt/corrupt_*.c)
file(GLOB tessera_test_support CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.c)
# Compiled once, as objects: each test gets all of it.
add_library(tessera_test_support OBJECT ${tessera_test_support})
target_include_directories(tessera_test_support PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/tests/support)
if(TESSERA_VOLK_INCLUDE)
  target_include_directories(tessera_test_support PUBLIC ${TESSERA_VOLK_INCLUDE})
endif()
target_compile_options(tessera_test_support PRIVATE -Wall -Wextra)
target_compile_definitions(tessera_test_support PUBLIC _GNU_SOURCE TESSERA_EXPERIMENTAL
  TESSERA_SHARED="${CMAKE_SOURCE_DIR}/../shared" TESSERA_TESTS="${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tessera_test_support PUBLIC tessera_static PkgConfig::CHECK)
if(TARGET tessera_runner)
  target_link_libraries(tessera_test_support PUBLIC tessera_runner)
endif()
# Parts and cases are read when CMake runs.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             ${tessera_test_sources} ${CMAKE_SOURCE_DIR}/tests/golden/cases.txt)
foreach(source ${tessera_test_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_compile_options(${name} PRIVATE -Wall -Wextra)
  target_link_libraries(${name} PRIVATE tessera_test_support)
  file(READ ${source} text)
  string(REGEX MATCHALL "[( ]PART\\([a-z0-9_]+," parts "${text}")
  if(parts)
    list(TRANSFORM parts REPLACE "[( ]PART\\(([a-z0-9_]+)," "\\1")
  else()
    set(parts all)
  endif()
  foreach(part ${parts})
    set(test ${name})
    if(part STREQUAL "all")
      add_test(NAME ${test} COMMAND ${name})
    else()
      if(NOT part STREQUAL "own")
        set(test ${name}_${part})
      endif()
      add_test(NAME ${test} COMMAND ${name} ${part})
    endif()
    # Check's own four seconds a test are too few under a sanitizer on a busy machine.
    set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200
                         ENVIRONMENT "CK_DEFAULT_TIMEOUT=300" LABELS ${name})
  endforeach()
endforeach()
add_executable(make_weights tests/golden/make_weights.c)
target_compile_options(make_weights PRIVATE -Wall -Wextra)
target_compile_definitions(make_weights PRIVATE _GNU_SOURCE)
target_link_libraries(make_weights PRIVATE tessera_static)
add_executable(make_gguf tests/golden/make_gguf.c tests/support/gguf_sample.c)
target_include_directories(make_gguf PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/tests/support)
target_compile_options(make_gguf PRIVATE -Wall -Wextra)
target_compile_definitions(make_gguf PRIVATE _GNU_SOURCE)
target_link_libraries(make_gguf PRIVATE tessera_static)
# A layer that tests put between the Vulkan loader and a driver: the driver then says that it is
# another device, or is lost. In a folder of its own, so that nothing but a test finds it.
if(TESSERA_VULKAN)
  include(CheckIncludeFile)
  check_include_file(vulkan/vk_layer.h TESSERA_HAS_VK_LAYER)
  set(fake_layer_folder ${CMAKE_BINARY_DIR}/vulkan_layer)
  if(TESSERA_HAS_VK_LAYER)
    add_library(fake_device_layer MODULE tests/vulkan_layer/fake_device_layer.c)
    target_compile_options(fake_device_layer PRIVATE -Wall -Wextra -fvisibility=hidden)
    target_compile_definitions(fake_device_layer PRIVATE _GNU_SOURCE)
    target_link_libraries(fake_device_layer PRIVATE Threads::Threads)
    set_target_properties(fake_device_layer PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${fake_layer_folder})
    set(FAKE_LAYER_LIBRARY ./libfake_device_layer.so)
    configure_file(tests/vulkan_layer/fake_device_layer.json.in ${fake_layer_folder}/fake_device_layer.json @ONLY)
    add_dependencies(tessera_test_support fake_device_layer)
  endif()
  target_compile_definitions(tessera_test_support PUBLIC TESSERA_FAKE_LAYER="${fake_layer_folder}")
endif()
# Programs of bench/ that people run by hand (each says in its head what it measures); tests run what
# ends with 1 where something is wrong, small, so that it goes on working.
foreach(program million_items tile_seconds video_speed entropy_over_time judge_files prompt_speed encode_loop)
  add_executable(${program} bench/programs/${program}.c)
  target_include_directories(${program} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${program} PRIVATE -Wall -Wextra)
  target_compile_definitions(${program} PRIVATE _GNU_SOURCE)
  target_link_libraries(${program} PRIVATE tessera_runner)
endforeach()
add_test(NAME million_items COMMAND million_items ${CMAKE_BINARY_DIR} 3000 1)
add_test(NAME prompt_speed COMMAND prompt_speed 20)
add_test(NAME entropy_over_time COMMAND entropy_over_time ${CMAKE_SOURCE_DIR}/tests/golden/tess/v1_raw.tess)
# Pictures of every kind beside Pillow's pixels, and beside the tools of the libraries it lacks.
add_executable(picture_pixels tests/pictures/picture_pixels.c)
target_include_directories(picture_pixels PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(picture_pixels PRIVATE -Wall -Wextra)
target_compile_definitions(picture_pixels PRIVATE _GNU_SOURCE)
target_link_libraries(picture_pixels PRIVATE tessera_static)
# Debian's own Python: its Pillow is linked with the libraries that this build uses.
add_test(NAME pillow_pictures
         COMMAND bash ${CMAKE_SOURCE_DIR}/tests/pictures/pillow_pictures.sh $<TARGET_FILE:picture_pixels>)
add_test(NAME picture_kinds
         COMMAND python3 -B ${CMAKE_SOURCE_DIR}/tests/pictures/pillow_pictures.py $<TARGET_FILE:picture_pixels> --computed)
set_tests_properties(pillow_pictures picture_kinds PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200)
# The Python package: a wheel built from the sources, in a virtual environment.
add_test(NAME python_package COMMAND bash ${CMAKE_SOURCE_DIR}/tests/python/python_package.sh)
# The longest begin first, so that no core waits for one of them at the end.
set_tests_properties(test_karl test_karl_batches test_grid PROPERTIES COST 100)
set(tessera_script_environment
    "TESSERA=${CMAKE_BINARY_DIR}/tessera" "CC=${CMAKE_C_COMPILER}"
    "TESSERA_PIPELINE_CACHE=off" # nothing is left in the home of whoever runs the tests
    "SOURCE=${CMAKE_SOURCE_DIR}" "BUILD=${CMAKE_BINARY_DIR}" "SHARED=${CMAKE_SOURCE_DIR}/../shared")
set_tests_properties(python_package PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200 COST 200
                     ENVIRONMENT "${tessera_script_environment}")
file(GLOB tessera_script_tests CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/tests/cli/*.sh ${CMAKE_SOURCE_DIR}/tests/arrows/*.sh)
foreach(script ${tessera_script_tests})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME ${name} COMMAND bash ${script})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200
                       ENVIRONMENT "${tessera_script_environment}")
endforeach()
set_tests_properties(encode_decode PROPERTIES COST 50)
file(STRINGS ${CMAKE_SOURCE_DIR}/tests/golden/cases.txt tessera_golden_cases REGEX "^(tree|shared) ")
foreach(line ${tessera_golden_cases})
  string(REGEX MATCH "^([a-z]+) +([a-z0-9/-]+) +([0-9]+) +([a-z ]+)$" matched "${line}")
  if(NOT matched)
    message(FATAL_ERROR "tests/golden/cases.txt: wanted place, case, lines and devices, got \"${line}\"")
  endif()
  set(place ${CMAKE_MATCH_1})
  set(case ${CMAKE_MATCH_2})
  set(lines ${CMAKE_MATCH_3})
  string(REPLACE " " ";" devices "${CMAKE_MATCH_4}")
  string(REPLACE "/" "_" name "golden_${case}")
  if(place STREQUAL "shared")
    string(REPLACE "golden_" "golden_shared_" name "${name}")
  endif()
  foreach(device ${devices})
    set(test ${name})
    if(device STREQUAL "vulkan")
      set(test ${name}_vulkan)
    endif()
    add_test(NAME ${test} COMMAND bash ${CMAKE_SOURCE_DIR}/tests/support/golden_case.sh
                                  ${place} ${case} ${lines} ${device})
    set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1200
                         ENVIRONMENT "${tessera_script_environment}")
  endforeach()
endforeach()
set_tests_properties(golden_shared_karl_vae-tiny golden_shared_titok_s128-crop64
                     golden_shared_flextok_tiny-b golden_taming-vqgan_llamagen-narrow_vulkan
                     PROPERTIES COST 50)
