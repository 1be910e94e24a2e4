# SPDX-License-Identifier: MIT
# libtessera: every .c and .S of the library's rooms, once as objects, then shared and static.
set(tessera_sources "")
foreach(room compute ops formats media datasets quantizer reduce nn models towers metrics codec evaluation batch verify bench)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${room}/*.c
       ${CMAKE_SOURCE_DIR}/${room}/*.S)
  list(APPEND tessera_sources ${sources})
endforeach()
# A pattern or a path that no longer fits any file would change a build without a word.
function(tessera_leave_out pattern)
  set(before ${tessera_sources})
  list(FILTER tessera_sources EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/${pattern}$")
  if(before STREQUAL "${tessera_sources}")
    message(FATAL_ERROR "cmake/library.cmake: ${pattern}: wanted a source to leave out, got none")
  endif()
  set(tessera_sources ${tessera_sources} PARENT_SCOPE)
endfunction()
tessera_leave_out("bench/programs/.*\\.c") # each has a main
if(NOT TESSERA_VULKAN)
  tessera_leave_out("compute/vulkan/.*\\.c")
endif()
# Writers of pictures that have a library of their own (readers stay: they know their format by name).
foreach(kind JPEG TIFF WEBP AVIF JXL)
  if(NOT TESSERA_${kind})
    string(TOLOWER ${kind} stem)
    tessera_leave_out("media/write_${stem}\\.c")
  endif()
endforeach()
if(NOT TESSERA_VIDEO)
  tessera_leave_out("media/(video_mux|write_video_coded|write_video_gif)\\.c")
endif()

# Flags that everything in the tree is built with; they stand before the first target.
if(TESSERA_WERROR)
  add_compile_options(-Werror)
endif()
if(TESSERA_SANITIZE)
  add_compile_options(-fsanitize=${TESSERA_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TESSERA_SANITIZE})
endif()
if(TESSERA_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()

add_library(tessera_objects OBJECT ${tessera_sources})
target_include_directories(tessera_objects PUBLIC ${CMAKE_SOURCE_DIR}/include
                           PRIVATE ${CMAKE_BINARY_DIR}/generated)
target_compile_options(tessera_objects PRIVATE -Wall -Wextra)
target_compile_definitions(tessera_objects PRIVATE
  _GNU_SOURCE TESSERA_VERSION="${PROJECT_VERSION}" TESSERA_SOURCE_DIR="${CMAKE_SOURCE_DIR}")

# The default tokenizer's weights and the catalog are linked in as they are.
set(tessera_bundled_model ${CMAKE_SOURCE_DIR}/models/mosaic-64.safetensors)
set(tessera_catalog ${CMAKE_SOURCE_DIR}/models/catalog)
set_source_files_properties(${CMAKE_SOURCE_DIR}/models/embedded.S PROPERTIES
  COMPILE_DEFINITIONS "TESSERA_BUNDLED_MODEL=\"${tessera_bundled_model}\";TESSERA_CATALOG=\"${tessera_catalog}\""
  OBJECT_DEPENDS "${tessera_bundled_model};${tessera_catalog}")
# What decides ids is rounded in the same places by every compiler, and a picture has distance 0 to
# itself.
foreach(source codec/tokenizers/mosaic/mosaic.c codec/tokenizers/mosaic/mosaic_model.c
               codec/tokenizers/mosaic/mosaic_encode.c quantizer/residual_fsq.c quantizer/rvq_search.c
               reduce/average.c reduce/frame_budget.c reduce/windows.c reduce/frames.c
               reduce/picture_sizes.c ops/unit_distance.c ops/from_bytes.c metrics/face_align.c)
  if(NOT ${CMAKE_SOURCE_DIR}/${source} IN_LIST tessera_sources)
    message(FATAL_ERROR "cmake/library.cmake: ${source}: wanted a source of the library, got none")
  endif()
  set_source_files_properties(${CMAKE_SOURCE_DIR}/${source} PROPERTIES
                              COMPILE_OPTIONS -ffp-contract=off)
endforeach()

# Where the arithmetic is, AddressSanitizer watches the addresses; UndefinedBehaviorSanitizer's own checks
# of every pointer keep the loops from vectors (test_judge_metrics: 119 s of processor time, 39 without).
if(TESSERA_SANITIZE MATCHES undefined)
  foreach(source ${tessera_sources})
    if(source MATCHES "/(ops|compute/cpu|quantizer|codec/tokenizers/mosaic)/[^/]*\\.c$")
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS
                   -fno-sanitize=alignment,null,pointer-overflow,object-size,bounds)
    endif()
  endforeach()
endif()

add_custom_target(tessera_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR}
          -DOUTPUT=${CMAKE_BINARY_DIR}/generated/tessera_commit.h
          -P ${CMAKE_SOURCE_DIR}/cmake/commit.cmake
  BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/tessera_commit.h)
add_dependencies(tessera_objects tessera_commit)

# What the library links, by pkg-config module; the static library's users need the same list.
set(tessera_modules libpng zlib libzstd libcjson libcrypto)
set(tessera_plain_libraries m ${CMAKE_DL_LIBS}) # without a pkg-config file: -l<name>
# Readers of pictures and of archives, each with its library or without (media/readers.def).
foreach(reader "JPEG libjpeg" "TIFF libtiff-4" "WEBP libwebp" "JPEG2000 libopenjp2" "AVIF libavif"
               "JXL libjxl" "HEIF libheif" "ARCHIVE libarchive")
  string(REGEX MATCH "^([A-Z0-9]+) (.+)$" matched "${reader}")
  if(TESSERA_${CMAKE_MATCH_1})
    list(APPEND tessera_modules ${CMAKE_MATCH_2})
    target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_${CMAKE_MATCH_1}=1)
  endif()
endforeach()
if(TESSERA_VIDEO)
  list(APPEND tessera_modules libavformat libavcodec libavutil)
  pkg_check_modules(TESSERA_LIBAVFILTER REQUIRED libavfilter) # its headers: opened when wanted
  target_include_directories(tessera_objects PRIVATE ${TESSERA_LIBAVFILTER_INCLUDE_DIRS})
  target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_VIDEO=1)
endif()
if(TESSERA_TESSERACT)
  list(APPEND tessera_modules tesseract)
  target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_TESSERACT=1)
endif()
if(TESSERA_WEBP) # frames of animated ones
  list(APPEND tessera_modules libwebpdemux)
endif()
if(TESSERA_TIFF) # error handlers and limits of one file, not of the process, came with 4.5
  pkg_check_modules(TESSERA_LIBTIFF REQUIRED QUIET libtiff-4>=4.5)
endif()
if(TESSERA_GIF)
  find_library(TESSERA_GIFLIB gif REQUIRED)
  target_link_libraries(tessera_objects PUBLIC ${TESSERA_GIFLIB})
  target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_GIF=1)
  list(APPEND tessera_plain_libraries gif)
endif()
if(TESSERA_FFTW) # in f32; the second library makes its planner safe to call from several threads
  list(APPEND tessera_modules fftw3f)
  find_library(TESSERA_FFTW_THREADS fftw3f_threads REQUIRED)
  target_link_libraries(tessera_objects PUBLIC ${TESSERA_FFTW_THREADS})
  target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_FFTW=1)
  list(APPEND tessera_plain_libraries fftw3f_threads)
endif()
pkg_check_modules(TESSERA_MODULES REQUIRED IMPORTED_TARGET ${tessera_modules})
pkg_check_modules(TESSERA_XXHASH REQUIRED libxxhash) # its header alone: compiled in, not linked
target_include_directories(tessera_objects PRIVATE ${TESSERA_XXHASH_INCLUDE_DIRS})
target_link_libraries(tessera_objects PUBLIC PkgConfig::TESSERA_MODULES Threads::Threads m)
if(TESSERA_ONEDNN)
  find_library(TESSERA_DNNL dnnl REQUIRED)
  target_link_libraries(tessera_objects PUBLIC ${TESSERA_DNNL})
  target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_ONEDNN=1)
  list(APPEND tessera_plain_libraries dnnl)
endif()
if(TESSERA_VULKAN)
  include(cmake/shaders.cmake)
endif()

include(cmake/exports.cmake)
add_library(tessera SHARED $<TARGET_OBJECTS:tessera_objects>)
add_library(tessera_static STATIC $<TARGET_OBJECTS:tessera_objects>)
foreach(target tessera tessera_static)
  # Inside this build, users of the library (tools, tests) see the same links and definitions as
  # its objects; the installed package hands on its own list (cmake/package.cmake.in).
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
target_link_libraries(tessera PRIVATE $<TARGET_PROPERTY:tessera_objects,INTERFACE_LINK_LIBRARIES>)
target_link_libraries(tessera_static PUBLIC
  $<BUILD_INTERFACE:$<TARGET_PROPERTY:tessera_objects,INTERFACE_LINK_LIBRARIES>>)
target_compile_definitions(tessera_static PUBLIC
  $<BUILD_INTERFACE:$<TARGET_PROPERTY:tessera_objects,INTERFACE_COMPILE_DEFINITIONS>>)
target_link_options(tessera PRIVATE -Wl,--version-script=${tessera_export_map} -Wl,--as-needed)
if(NOT TESSERA_SANITIZE) # the sanitizers' own symbols are the program's to bring
  target_link_options(tessera PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(tessera PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                      LINK_DEPENDS ${tessera_export_map})
set_target_properties(tessera_static PROPERTIES OUTPUT_NAME tessera)
