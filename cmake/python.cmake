# The extensions of the Python package: _core over csrc/bindings, and the Cython module.
find_package(Python COMPONENTS Interpreter Development.Module)
if(NOT Python_Development.Module_FOUND)
  message(FATAL_ERROR " fastrnn: Python.h not found (Debian, Ubuntu: apt-get install python3-dev)")
endif()
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 CONFIG REQUIRED)

file(GLOB binding_sources CONFIGURE_DEPENDS csrc/bindings/*.cc)
pybind11_add_module(_core NO_EXTRAS ${binding_sources})
target_compile_definitions(_core PRIVATE
  "FASTRNN_COMPILER=\"${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}\""
  "FASTRNN_VERSION=\"${SKBUILD_PROJECT_VERSION_FULL}\"")
target_compile_options(_core PRIVATE -Os)  # checks of arguments: a third of the wheel's bytes at -O3
target_precompile_headers(_core PRIVATE <pybind11/numpy.h> <pybind11/stl.h>)  # 30 % of the time of each file
target_link_libraries(_core PRIVATE base ${FASTRNN_ISA_OBJECTS} Threads::Threads
  $<TARGET_NAME_IF_EXISTS:OpenMP::OpenMP_CXX>)
install(TARGETS _core DESTINATION fastrnn)

if(FASTRNN_BUNDLE_LIBGOMP AND OpenMP_CXX_FOUND AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU"
   AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
  # An already mapped SONAME wins, so a process that also runs PyTorch has one runtime, not two that fight.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp.so.1
    OUTPUT_VARIABLE libgomp OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(REAL_PATH "${libgomp}" libgomp)
  if(EXISTS "${libgomp}")
    install(FILES "${libgomp}" RENAME libgomp.so.1 DESTINATION fastrnn)
    set_target_properties(_core PROPERTIES INSTALL_RPATH "$ORIGIN")
  endif()
endif()

# Loops over Python objects.
execute_process(COMMAND "${Python_EXECUTABLE}" -c "import Cython" RESULT_VARIABLE no_cython ERROR_QUIET)
if(no_cython)
  message(FATAL_ERROR " fastrnn: Cython not found (pip install cython)")
endif()
set(pyx "${CMAKE_CURRENT_SOURCE_DIR}/fastrnn/word2vec/_corpus.pyx")
add_custom_command(OUTPUT _corpus.cc DEPENDS "${pyx}" VERBATIM
  COMMAND "${Python_EXECUTABLE}" -m cython --cplus -3 --module-name fastrnn.word2vec._corpus "${pyx}" -o _corpus.cc)
python_add_library(_corpus MODULE WITH_SOABI "${CMAKE_CURRENT_BINARY_DIR}/_corpus.cc")
target_compile_options(_corpus PRIVATE -w)  # generated
install(TARGETS _corpus DESTINATION fastrnn/word2vec)
