# The only file that spells a CPU flag: one row per instruction set, best last.
# name | flags | bytes of a vector | vectors in a register tile | most rows in a tile
# A sixth column names the row whose kernels it shares; it adds csrc/kernels/rows/<name>.cc alone.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(FASTRNN_ISA_TABLE
    "sse4|-march=x86-64-v2 -O2|16|2|5"
    "avx2|-march=x86-64-v3|32|3|4"
    "avx512|-march=x86-64-v4 -mprefer-vector-width=512|64|4|6"
    "avx512_bf16|-march=x86-64-v4 -mprefer-vector-width=512 -mavx512bf16|64|4|6|avx512"
    "avx512_amx|-march=x86-64-v4 -mprefer-vector-width=512 -mamx-tile -mamx-bf16|64|4|6|avx512")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(FASTRNN_ISA_TABLE "neon|-march=armv8-a|16|4|5")
else()
  message(FATAL_ERROR "fastrnn: no row for ${CMAKE_SYSTEM_PROCESSOR} in cmake/isa.cmake")
endif()

set(FASTRNN_ISAS "" CACHE STRING "Instruction sets to build, of the table in cmake/isa.cmake; empty: all")

# Compiles csrc/kernels once per row; FASTRNN_ISA_OBJECTS collects the object libraries.
function(fastrnn_add_isas)
  set(objects)
  set(names)
  foreach(row IN LISTS FASTRNN_ISA_TABLE)
    string(REPLACE "|" ";" row "${row}")
    list(GET row 0 name)
    list(GET row 1 flags)
    list(GET row 2 bytes)
    list(GET row 3 vectors)
    list(GET row 4 rows)
    if(FASTRNN_ISAS AND NOT name IN_LIST FASTRNN_ISAS)
      continue()
    endif()
    separate_arguments(flags)
    set(sources ${ARGN})
    set(shared ${name})
    list(LENGTH row columns)
    if(columns GREATER 5)
      list(GET row 5 shared)
      set(sources kernels/rows/${name}.cc)
    endif()
    add_library(kernels_${name} OBJECT ${sources})
    target_compile_options(kernels_${name} PRIVATE ${flags} -fno-exceptions -fno-rtti
      -fno-asynchronous-unwind-tables)
    target_compile_definitions(kernels_${name} PRIVATE FASTRNN_ISA=${shared} FASTRNN_VECTOR_BYTES=${bytes}
      FASTRNN_TILE_VECTORS=${vectors} FASTRNN_TILE_ROWS=${rows})
    list(APPEND objects kernels_${name})
    list(APPEND names "FASTRNN_X(${name})")
  endforeach()
  list(JOIN names " " names)
  set(FASTRNN_ISA_OBJECTS ${objects} PARENT_SCOPE)
  set(FASTRNN_ISA_LIST "${names}" PARENT_SCOPE)
endfunction()
