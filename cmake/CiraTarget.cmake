# SPDX-License-Identifier: Apache-2.0
# Compiler settings shared by every target, and small helpers. A folder says
# what it builds; how it is built is said once, here.

option(CIRA_WERROR "Turn warnings into errors (CI)" OFF)
set(CIRA_SANITIZE "" CACHE STRING
    "Sanitizers to build with, e.g. address;undefined or thread")

find_package(PkgConfig REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
find_package(Threads REQUIRED)

add_library(cira_flags INTERFACE)
target_include_directories(cira_flags INTERFACE
  ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/runtime)
target_compile_definitions(cira_flags INTERFACE _GNU_SOURCE)
target_compile_options(cira_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes> -Wvla
  -fno-omit-frame-pointer
  $<$<BOOL:${CIRA_WERROR}>:-Werror>)
foreach(s IN LISTS CIRA_SANITIZE)
  target_compile_options(cira_flags INTERFACE -fsanitize=${s})
  target_link_options(cira_flags INTERFACE -fsanitize=${s})
endforeach()
if(CIRA_SANITIZE)
  target_compile_definitions(cira_flags INTERFACE CIRA_SANITIZED=1)
  target_compile_options(cira_flags INTERFACE
    -fno-sanitize-recover=all -g)
endif()

# cira_add_module(NAME SOURCES... [DEPENDS other modules or libraries])
# One runtime folder: a static, position independent archive `cira_NAME`, which
# is also a part of libcira (runtime/library).
function(cira_add_module name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(cira_${name} STATIC ${A_SOURCES})
  target_link_libraries(cira_${name} PUBLIC cira_flags Threads::Threads ${A_DEPENDS})
  set_property(GLOBAL APPEND PROPERTY CIRA_MODULES ${name})
  foreach(item IN LISTS A_DEPENDS)
    if(NOT item MATCHES "^cira_")
      set_property(GLOBAL APPEND PROPERTY CIRA_MODULE_DEPENDS ${item})
    endif()
  endforeach()
endfunction()

# cira_add_unit(NAME SOURCES... [DEPENDS libs] [LABELS l] [TIMEOUT s])
# A cmocka program that is one ctest; exit 0/1/77 = pass/fail/skip.
function(cira_add_unit name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPENDS;LABELS;ARGS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE cira_flags PkgConfig::CMOCKA ${A_DEPENDS})
  add_test(NAME ${name} COMMAND ${name} ${A_ARGS})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77
    TIMEOUT ${A_TIMEOUT} LABELS "unit;${A_LABELS}")
endfunction()
