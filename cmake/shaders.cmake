# SPDX-License-Identifier: MIT
# Compiles vulkan_shaders/variants.txt to C arrays and a table {name, words, count} of them. Modules
# with -DCOOPMAT need a newer compiler than Debian 12's: scripts/coopmat.sh has made theirs, and the
# test coopmat_sources sees to it that they are those of the sources.
find_program(TESSERA_GLSLANG glslangValidator REQUIRED)
find_path(TESSERA_VOLK_INCLUDE volk.h REQUIRED)
set(shader_dir ${CMAKE_SOURCE_DIR}/vulkan_shaders)
set(shader_out ${CMAKE_BINARY_DIR}/vulkan_shaders)
file(MAKE_DIRECTORY ${shader_out})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${shader_dir}/variants.txt)
file(GLOB shader_headers CONFIGURE_DEPENDS ${shader_dir}/*.glsl)
file(STRINGS ${shader_dir}/variants.txt shader_lines REGEX "^[^#]")

set(shader_includes "")
set(shader_rows "")
set(shader_arrays "")
foreach(line ${shader_lines})
  separate_arguments(words UNIX_COMMAND "${line}")
  list(POP_FRONT words name source)
  list(FIND words -DCOOPMAT=1 coopmat)
  if(coopmat GREATER -1)
    list(APPEND shader_arrays ${shader_dir}/coopmat/${name}.inc)
    string(APPEND shader_includes "#include \"${name}.inc\"\n")
    string(APPEND shader_rows
           "    {\"${name}\", tsr_spirv_${name}, sizeof tsr_spirv_${name} / 4},\n")
    continue()
  endif()
  set(array ${shader_out}/${name}.spv.h)
  add_custom_command(OUTPUT ${array}
    COMMAND ${TESSERA_GLSLANG} --quiet --target-env vulkan1.2 ${words} --vn tsr_spirv_${name}
            -o ${array} ${shader_dir}/${source}
    DEPENDS ${shader_dir}/${source} ${shader_headers} ${shader_dir}/variants.txt
    COMMENT "shader ${name}" VERBATIM)
  list(APPEND shader_arrays ${array})
  string(APPEND shader_includes "#include \"${name}.spv.h\"\n")
  string(APPEND shader_rows
         "    {\"${name}\", tsr_spirv_${name}, sizeof tsr_spirv_${name} / 4},\n")
endforeach()

set(shader_table ${shader_out}/shader_table.c)
file(CONFIGURE OUTPUT ${shader_table} @ONLY CONTENT
"/* Made by cmake/shaders.cmake from vulkan_shaders/variants.txt. */
#include \"compute/vulkan/vulkan_shaders.h\"
@shader_includes@
const tsr_shader tsr_shaders[] = {
@shader_rows@};
const int tsr_shader_count = sizeof tsr_shaders / sizeof *tsr_shaders;
")
set_source_files_properties(${shader_table} PROPERTIES OBJECT_DEPENDS "${shader_arrays}"
  COMPILE_OPTIONS "-I${CMAKE_SOURCE_DIR};-I${shader_out};-I${shader_dir}/coopmat;-fvisibility=hidden")
target_sources(tessera_objects PRIVATE ${shader_table})
target_include_directories(tessera_objects PRIVATE ${TESSERA_VOLK_INCLUDE})
target_compile_definitions(tessera_objects PUBLIC TESSERA_WITH_VULKAN=1)
target_link_libraries(tessera_objects PUBLIC ${CMAKE_DL_LIBS})
