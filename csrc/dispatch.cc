#include "dispatch.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/cpu.h"

// One declaration per row of cmake/isa.cmake.
#define FASTRNN_X(name) \
  namespace name {      \
  void fill(Kernels&);  \
  }
namespace fastrnn {
FASTRNN_ISA_LIST
#undef FASTRNN_X

namespace {

struct Entry {
  const char* name;
  void (*fill)(Kernels&);
};
#define FASTRNN_X(name) Entry{#name, &name::fill},
constexpr Entry kEntries[] = {FASTRNN_ISA_LIST};
#undef FASTRNN_X
constexpr std::size_t kEntryCount = sizeof(kEntries) / sizeof(kEntries[0]);

const Kernels& table_of(std::size_t index) {
  static const auto* tables = [] {
    static Kernels filled[kEntryCount];
    for (std::size_t i = 0; i < kEntryCount; ++i)
      if (cpu_supports(kEntries[i].name)) kEntries[i].fill(filled[i]);
    return filled;
  }();
  return tables[index];
}

std::string names(bool runnable_only) {
  std::string out;
  for (const Entry& entry : kEntries)
    if (!runnable_only || cpu_supports(entry.name)) out += (out.empty() ? "" : ", ") + std::string(entry.name);
  return out;
}

const Kernels& find(const char* name, const std::string& argument) {
  for (std::size_t i = 0; i < kEntryCount; ++i) {
    if (std::strcmp(kEntries[i].name, name) != 0) continue;
    if (cpu_supports(name)) return table_of(i);
    throw std::invalid_argument(argument + ": " + std::string(name) + " cannot run on this processor, which runs " +
                                names(true));
  }
  throw std::invalid_argument(argument + ": expected one of " + names(false) + ", got '" + name + "'");
}

const Kernels& first_choice() {
  const char* forced = std::getenv("FASTRNN_ISA");
  if (forced != nullptr && *forced != '\0') return find(forced, "FASTRNN_ISA");
  for (std::size_t i = kEntryCount; i-- > 0;)
    if (cpu_supports(kEntries[i].name)) return table_of(i);
  throw std::invalid_argument("isa: this processor runs none of " + names(false));
}

std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> table{&first_choice()};
  return table;
}

}  // namespace

const Kernels& kernels() { return *current().load(std::memory_order_acquire); }
void use_isa(const char* name) { current().store(&find(name, "isa"), std::memory_order_release); }
std::size_t isa_count() { return kEntryCount; }
const char* isa_name(std::size_t index) { return kEntries[index].name; }
bool can_run(const char* name) { return cpu_supports(name); }

}  // namespace fastrnn
