// UCX's functions, from libraries that are looked for at run time: the addon loads without them and says what is missing.
#pragma once
#include <dlfcn.h>
#include <ucp/api/ucp.h>

#include <cstdlib>
#include <string>

namespace gradmesh {

#define GRADMESH_UCP(use)                                                                                                            \
  use(ucp_get_version) use(ucp_config_read) use(ucp_config_modify) use(ucp_config_release) use(ucp_init_version) use(ucp_cleanup)     \
  use(ucp_worker_create) use(ucp_worker_destroy) use(ucp_worker_progress) use(ucp_worker_get_efd) use(ucp_worker_arm)                 \
  use(ucp_worker_fence) use(ucp_worker_set_am_recv_handler) use(ucp_listener_create) use(ucp_listener_destroy)                        \
  use(ucp_listener_query) use(ucp_listener_reject) use(ucp_ep_create) use(ucp_ep_close_nbx) use(ucp_mem_map) use(ucp_mem_unmap)       \
  use(ucp_rkey_pack) use(ucp_rkey_buffer_release) use(ucp_ep_rkey_unpack) use(ucp_rkey_destroy) use(ucp_put_nbx)                      \
  use(ucp_am_send_nbx) use(ucp_request_check_status) use(ucp_request_free)

/** The functions by their own names; valid once `load` returned an empty string. */
struct Library {
#define GRADMESH_MEMBER(name) decltype(&::name) name = nullptr;
  GRADMESH_UCP(GRADMESH_MEMBER)
#undef GRADMESH_MEMBER
  decltype(&::ucs_status_string) ucs_status_string = nullptr;

  /** @returns what is missing, empty when nothing is */
  std::string load() {
    // others install it elsewhere, beside their drivers
    const char* name = std::getenv("GRADMESH_UCX_LIBRARY");
    void* ucp = dlopen(name == nullptr ? "libucp.so.0" : name, RTLD_NOW | RTLD_GLOBAL);
    if (ucp == nullptr) return std::string("UCX's libraries are absent (Debian: apt-get install libucx0): ") + dlerror();
    bool whole = true;
#define GRADMESH_FIND(name) whole = whole && (name = reinterpret_cast<decltype(name)>(dlsym(ucp, #name))) != nullptr;
    GRADMESH_UCP(GRADMESH_FIND)
#undef GRADMESH_FIND
    ucs_status_string = reinterpret_cast<decltype(ucs_status_string)>(dlsym(ucp, "ucs_status_string"));
    if (!whole || ucs_status_string == nullptr) return "the UCX libraries are too old; 1.12 or newer is needed";
    return "";
  }

  std::string why(const char* what, ucs_status_t status) const { return std::string("rdma: ") + what + ": " + ucs_status_string(status); }
};

extern Library ucx;

}  // namespace gradmesh
