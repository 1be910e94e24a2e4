# SPDX-License-Identifier: MIT
# The extension module tessera._native of the Python package: the static library behind what cffi makes
# of the public headers (python/build_native.py). Built by python/pyproject.toml through
# scikit-build-core; `pip install ./python` does all of it. One module serves every CPython from 3.9 on.
find_package(Python COMPONENTS Interpreter Development.Module REQUIRED)
set(tessera_native_source ${CMAKE_BINARY_DIR}/generated/tessera_native.c)
add_custom_command(OUTPUT ${tessera_native_source}
  COMMAND ${Python_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/python/build_native.py ${CMAKE_SOURCE_DIR}/include
          ${tessera_native_source} ${CMAKE_SOURCE_DIR}/python/token_rows.h
  DEPENDS ${CMAKE_SOURCE_DIR}/python/build_native.py ${CMAKE_SOURCE_DIR}/python/token_rows.h
          ${tessera_public_headers}
  COMMENT "declarations for Python" VERBATIM)
add_library(tessera_python MODULE ${tessera_native_source} ${CMAKE_SOURCE_DIR}/python/token_rows.c)
target_include_directories(tessera_python PRIVATE ${CMAKE_SOURCE_DIR}/python ${Python_INCLUDE_DIRS})
target_link_libraries(tessera_python PRIVATE tessera_static)
set_target_properties(tessera_python PROPERTIES PREFIX "" OUTPUT_NAME _native SUFFIX ".abi3.so"
                      C_VISIBILITY_PRESET hidden)
# What the module shows is its init function: the library inside stays its own, whatever else is loaded.
target_link_options(tessera_python PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed)
install(TARGETS tessera_python LIBRARY DESTINATION tessera COMPONENT python)
