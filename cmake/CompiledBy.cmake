# SPDX-License-Identifier: Apache-2.0
# Compiles sources by a given compiler with one command line, whatever the
# project's own flags are: so that two programs differ in the compiler alone.
#   cira_compiled_by(OUT_OBJECTS NAME COMPILER FLAGS SOURCES [dependency...])
# NAME names the folder of the objects; FLAGS and SOURCES are lists.
function(cira_compiled_by out name compiler flags sources)
  set(objects)
  foreach(source IN LISTS sources)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}/${source}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory
        ${CMAKE_CURRENT_BINARY_DIR}/${name}
      COMMAND ${compiler} ${flags} -MD -MF ${object}.d
        -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} ${ARGN}
      DEPFILE ${object}.d
      COMMENT "Compiling ${source} for ${name}"
      VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  set(${out} ${objects} PARENT_SCOPE)
endfunction()
