# SPDX-License-Identifier: MIT
# Run at every build (cmake -P): writes the commit the tree stands at into OUTPUT, and touches the
# file only when it changed. Benchmark rows carry it.
set(commit "unknown")
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE described RESULT_VARIABLE failed ERROR_QUIET
                OUTPUT_STRIP_TRAILING_WHITESPACE)
if(failed EQUAL 0 AND described)
  set(commit ${described})
endif()
set(text "#define TESSERA_COMMIT \"${commit}\"\n")
set(before "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${OUTPUT} "${text}")
endif()
