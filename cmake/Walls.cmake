# Walls: a place (a folder of the house) sees itself and what its row names. "X" is the files of folder X itself and of
# those below it that have no row; "X/*" is all of X. A target belongs to the folder whose CMakeLists.txt makes it.
# tools/check_walls.py holds every #include to this same table (it parses these lines) and refuses circles in it.
set(SLUICE_WALLS
  "common:"
  "common/flags: common"
  "common/transfer: common"
  "common/prefix: common"
  "common/net: common"
  "common/tls: common common/flags"
  "common/control: common common/net common/tls common/transfer"
  "common/http: common common/net common/tls"
  "common/etcd: common common/flags common/net common/tls"
  "common/svg: common"
  "common/trace: common common/flags common/http common/net"

  "text/unicode: common"
  "text/regex: common text/unicode"
  "text/tokenizer: common text/regex text/unicode"
  "text/jinja: common text/unicode"
  "text/grammar: common text/regex text/tokenizer text/unicode"
  "text/output: common text/grammar"
  "text: common text/*"

  "engine: common"
  "engine/policy: common common/prefix"
  "engine/cpu: common engine"
  "engine/model: common engine engine/cpu"

  "kvtransfer: common"
  "kvtransfer/codec/kernels: common kvtransfer"
  "kvtransfer/codec/parts: common kvtransfer kvtransfer/codec/kernels"
  "kvtransfer/codec/profile: common kvtransfer kvtransfer/codec/kernels kvtransfer/codec/parts"
  "kvtransfer/codec: common kvtransfer kvtransfer/codec/kernels kvtransfer/codec/parts kvtransfer/codec/profile"
  "kvtransfer/codec/cuda: common kvtransfer kvtransfer/codec kvtransfer/codec/kernels kvtransfer/codec/parts kvtransfer/codec/profile"
  "kvtransfer/wire: common kvtransfer kvtransfer/codec"
  "kvtransfer/transport: common common/net"
  "kvtransfer/flow: common common/transfer kvtransfer/transport"

  "kvstore/object: common common/prefix kvtransfer kvtransfer/wire"
  "kvstore/tier: common common/net common/prefix kvtransfer kvtransfer/wire kvstore/object"
  "kvstore: common common/net common/prefix kvtransfer kvtransfer/wire kvstore/object kvstore/tier"

  "coordinator/http: common common/net common/tls"
  "coordinator/policy: common common/prefix"
  "coordinator/tenants: common coordinator/http"
  "coordinator/api: common common/control common/trace text/* coordinator/http coordinator/tenants"
  "coordinator/api/responses: common common/control text/* coordinator/http coordinator/api"
  "coordinator/api/messages: common common/control text/* coordinator/http coordinator/api"
  "coordinator/cluster: common common/control common/net common/prefix common/tls coordinator/policy"
  "coordinator/registry: common common/etcd coordinator/policy"
  "coordinator/serving: common common/control common/prefix common/trace coordinator/api coordinator/cluster coordinator/policy"
  "coordinator/admin: common common/control coordinator/http coordinator/cluster coordinator/policy"
  "coordinator/ui: common coordinator/http"
  "coordinator/openapi: common coordinator/http"
  "coordinator/sim: common common/prefix common/svg common/transfer coordinator/policy engine/policy"
  "coordinator/ctl/load: common common/http common/net common/svg common/tls"
  "coordinator/ctl: common common/flags common/http common/net common/tls coordinator/ctl/load coordinator/http coordinator/sim coordinator/tenants"
  "coordinator: common common/etcd common/flags common/net common/tls common/trace coordinator/*"

  "node/kv: common common/transfer engine engine/policy kvtransfer kvtransfer/wire"
  "node/export: common common/transfer engine engine/policy kvtransfer/* node/kv"
  "node/ingest: common common/control common/transfer engine engine/policy kvtransfer/* node/kv"
  "node/loop: common engine/*"
  "node/quality: common kvtransfer/wire"
  "node: common common/control common/etcd common/flags common/http common/net common/prefix common/tls common/trace common/transfer engine/* kvtransfer/* node/kv"
  "prefill_node: common common/control common/flags common/prefix common/trace common/transfer engine/* kvtransfer/* node/*"
  "decode_node: common common/control common/flags common/trace common/transfer text/grammar text/tokenizer text/unicode engine/* kvtransfer/* node/*"

  "tools: common/* text/* engine/* kvtransfer/* kvstore/* coordinator/* node/* prefill_node decode_node"
  "tests: common/* text/* engine/* kvtransfer/* kvstore/* coordinator/* node/* prefill_node decode_node tools"
)

# The row of a folder: its own, or that of the nearest folder above that has one. out_place is "" outside the house.
function(sluice_row_of folder out_place out_sees)
  while(folder)
    foreach(row IN LISTS SLUICE_WALLS)
      if(row MATCHES "^([^:]+):(.*)$" AND CMAKE_MATCH_1 STREQUAL folder)
        string(REGEX MATCHALL "[^ ]+" sees "${CMAKE_MATCH_2}")
        set(${out_place} ${folder} PARENT_SCOPE)
        set(${out_sees} "${sees}" PARENT_SCOPE)
        return()
      endif()
    endforeach()
    if(NOT folder MATCHES "/")
      break()
    endif()
    string(REGEX REPLACE "/[^/]*$" "" folder "${folder}")
  endwhile()
  set(${out_place} "" PARENT_SCOPE)
  set(${out_sees} "" PARENT_SCOPE)
endfunction()

# Remembers where a target lives and holds its dependencies to the walls.
function(sluice_check_walls target folder)
  sluice_row_of(${folder} place sees)
  if(NOT place)
    message(FATAL_ERROR "wall: ${target} lives in '${folder}', which has no row in cmake/Walls.cmake")
  endif()
  set_property(GLOBAL PROPERTY SLUICE_PLACE_${target} ${place})
  foreach(dep IN LISTS ARGN)
    if(NOT dep MATCHES "^sluice_")
      continue()
    endif()
    get_property(there GLOBAL PROPERTY SLUICE_PLACE_${dep})
    if(NOT there)
      message(FATAL_ERROR "wall: ${target} depends on ${dep}, which no add_module() before it made")
    endif()
    set(seen OFF)
    if(there STREQUAL place OR there IN_LIST sees)
      set(seen ON)
    endif()
    foreach(entry IN LISTS sees)
      if(entry MATCHES "^(.*)/\\*$")
        string(FIND "${there}/" "${CMAKE_MATCH_1}/" at)
        if(at EQUAL 0)
          set(seen ON)
        endif()
      endif()
    endforeach()
    if(NOT seen)
      message(FATAL_ERROR "wall: ${target} (${place}) may not depend on ${dep} (${there}); see cmake/Walls.cmake and docs/walls.md")
    endif()
  endforeach()
endfunction()
