# SPDX-License-Identifier: MIT
# libtessera: every .c of the library's folders, once as objects, then shared and static.
file(GLOB tessera_sources CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/compute/*.c ${CMAKE_SOURCE_DIR}/compute/ops/*.c
     ${CMAKE_SOURCE_DIR}/formats/*.c ${CMAKE_SOURCE_DIR}/quantizer/*.c
     ${CMAKE_SOURCE_DIR}/codec/*.c ${CMAKE_SOURCE_DIR}/metrics/*.c
     ${CMAKE_SOURCE_DIR}/bench/*.c ${CMAKE_SOURCE_DIR}/models/*.c)
if(NOT TESSERA_VULKAN)
  list(FILTER tessera_sources EXCLUDE REGEX "compute/.*vulkan.*\\.c$")
endif()
if(NOT TESSERA_MEDIA)
  list(FILTER tessera_sources EXCLUDE REGEX "formats/media\\.c$")
endif()

add_library(tessera_objects OBJECT ${tessera_sources})
target_include_directories(tessera_objects PUBLIC ${CMAKE_SOURCE_DIR}/include)
target_compile_options(tessera_objects PRIVATE -Wall -Wextra)
target_compile_definitions(tessera_objects PRIVATE
  _GNU_SOURCE TESSERA_VERSION="${PROJECT_VERSION}" TESSERA_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
if(TESSERA_WERROR)
  add_compile_options(-Werror)
  target_compile_options(tessera_objects PRIVATE -Werror)
endif()
if(TESSERA_SANITIZE)
  add_compile_options(-fsanitize=${TESSERA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TESSERA_SANITIZE})
  target_compile_options(tessera_objects PRIVATE -fsanitize=${TESSERA_SANITIZE} -fno-omit-frame-pointer)
endif()

set(tessera_requires libpng libzstd libcjson)
pkg_check_modules(TESSERA_CORE REQUIRED IMPORTED_TARGET ${tessera_requires})
target_link_libraries(tessera_objects PUBLIC PkgConfig::TESSERA_CORE Threads::Threads m)
if(TESSERA_MEDIA)
  set(tessera_media_requires libavformat libavcodec libavutil libswscale)
  pkg_check_modules(TESSERA_AV REQUIRED IMPORTED_TARGET ${tessera_media_requires})
  target_link_libraries(tessera_objects PUBLIC PkgConfig::TESSERA_AV)
  target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_MEDIA=1)
endif()
if(TESSERA_ONEDNN)
  find_library(TESSERA_DNNL dnnl REQUIRED)
  target_link_libraries(tessera_objects PUBLIC ${TESSERA_DNNL})
  target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_ONEDNN=1)
endif()
if(TESSERA_VULKAN)
  include(cmake/shaders.cmake)
endif()

add_library(tessera SHARED)
target_link_libraries(tessera PUBLIC tessera_objects)
add_library(tessera_static STATIC)
target_link_libraries(tessera_static PUBLIC tessera_objects)
set_target_properties(tessera PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
set_target_properties(tessera_static PROPERTIES OUTPUT_NAME tessera)
