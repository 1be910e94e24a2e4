# SPDX-License-Identifier: MIT
# Manual pages and completions, written by the program itself (cmake/write_manuals.cmake runs it) and
# installed where man and the shells look for them. Documents are installed as they lie in the tree,
# so that what they say of each other leads somewhere.
if(TARGET tessera_cli AND (NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR))
  set(manuals ${CMAKE_BINARY_DIR}/manuals)
  add_custom_command(OUTPUT ${manuals}/written
    COMMAND ${CMAKE_COMMAND} "-DPROGRAM=${CMAKE_CROSSCOMPILING_EMULATOR};$<TARGET_FILE:tessera_cli>"
            -DOUTPUT=${manuals} -DCOMPRESS=${TESSERA_PACKAGE} -DVERBS=${CMAKE_SOURCE_DIR}/tools/verbs.def
            -P ${CMAKE_SOURCE_DIR}/cmake/write_manuals.cmake
    DEPENDS tessera_cli ${CMAKE_SOURCE_DIR}/tools/verbs.def
            ${CMAKE_SOURCE_DIR}/cmake/write_manuals.cmake
    COMMENT "manual pages and completions" VERBATIM)
  add_custom_target(tessera_manuals ALL DEPENDS ${manuals}/written)
  install(DIRECTORY ${manuals}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT program)
  install(FILES ${manuals}/tessera.bash RENAME tessera COMPONENT program
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  set(zsh_folder site-functions)
  if(TESSERA_PACKAGE) # where Debian's zsh looks for what packages bring
    set(zsh_folder vendor-completions)
  endif()
  install(FILES ${manuals}/_tessera COMPONENT program
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_folder})
  install(FILES ${manuals}/tessera.fish COMPONENT program
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

install(FILES README.md CHANGELOG.md LICENSE COMPONENT program DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(folder docs docs/models formats/tokens models)
  file(GLOB documents CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.md ${CMAKE_SOURCE_DIR}/${folder}/*.png)
  install(FILES ${documents} COMPONENT program DESTINATION ${CMAKE_INSTALL_DOCDIR}/${folder})
endforeach()
install(FILES models/catalog COMPONENT program DESTINATION ${CMAKE_INSTALL_DOCDIR}/models)
