# varve_room(<wing/room> [<rooms it may use>...])
#
# A room of src/ is one static library: every *.cc under it, and one test program from every *_test.cc.
# Adding a file needs no edit here. The same list is read by tools/check_layers.py. Registries are filled by
# explicit lists and never by static initialisers, so a static library loses no method.
function(varve_room room)
  string(REPLACE "/" "_" name ${room})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/${room}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT sources)  # a room with headers only
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.cc "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.cc)
  endif()
  add_library(${name} STATIC ${sources})
  target_compile_options(${name} PRIVATE ${VARVE_WARNINGS} ${VARVE_FLAGS})
  target_include_directories(${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/src)
  foreach(used ${ARGN})
    string(REPLACE "/" "_" used ${used})
    target_link_libraries(${name} PUBLIC ${used})
  endforeach()
  foreach(source ${sources})
    if(source MATCHES "/kernel/(avx2|avx512|amx)/")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${VARVE_FLAGS_${CMAKE_MATCH_1}}")
    endif()
  endforeach()
  if(tests AND VARVE_TESTS)
    set(VARVE_LABEL unit)
    varve_test(${name}_test ${room}/ ${tests})
    target_link_libraries(${name}_test PRIVATE ${name})
    if("core/format" IN_LIST ARGN)
      target_link_libraries(${name}_test PRIVATE test_support)
    endif()
    add_dependencies(unit_tests ${name}_test)
  endif()
endfunction()

# varve_test(<target> <prefix of the test names> <sources>...): one GoogleTest program. VARVE_LABEL, when set, is
# the label of its tests: `ctest -L unit` runs those of the rooms.
function(varve_test name prefix)
  add_executable(${name} ${ARGN})
  target_compile_options(${name} PRIVATE ${VARVE_WARNINGS} ${VARVE_FLAGS})
  target_compile_definitions(${name} PRIVATE VARVE_SHARED="${VARVE_SHARED}")
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE GTest::gtest_main)
  gtest_discover_tests(${name} TEST_PREFIX ${prefix} TEST_FILTER "-*DISABLED_*" DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 300 LABELS "${VARVE_LABEL}")
endfunction()
