#pragma once
// KV on its way: encoders of prefill nodes, shared links, decoders of decode nodes, and a sender's change to a tighter
// profile. Owns them; the scene is borrowed.
#include <cstdint>
#include <vector>

#include "coordinator/sim/shared_link.h"
#include "coordinator/sim/sim_scene.h"

namespace sluice::sim {

/// A chunk on its way from encoder to decoder.
struct Chunk {
  std::uint32_t id = 0;
  std::uint16_t profile = 0;
  bool last = false;
  double raw = 0, bytes = 0;
  double encode_s = 0, decode_s = 0;
  double entered_s = 0, encoded_s = 0;
  double behind = 0;  // share of a stage before the next begins
};

/// Chunks under way, by number.
class Chunks {
 public:
  std::uint32_t take(const Chunk& c) {
    if (free_.empty()) {
      all_.push_back(c);
      return static_cast<std::uint32_t>(all_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    all_[slot] = c;
    return slot;
  }
  [[nodiscard]] Chunk& at(std::uint32_t slot) { return all_[slot]; }
  Chunk give(std::uint32_t slot) {
    free_.push_back(slot);
    return all_[slot];
  }

 private:
  std::vector<Chunk> all_;
  std::vector<std::uint32_t> free_;
};

class TransferSide {
 public:
  /// `changes`: senders may change to a tighter profile.
  TransferSide(Scene& scene, bool changes)
      : scene_(scene), changes_(changes), first_links_(scene.spec.links.times(scene.spec.flapping)) {}

  /// The next node of each side, with its codecs.
  void add_encoder(const Hardware& h);
  void add_decoder(const Hardware& h);
  /// The request's prompt has come to its prefill node.
  void begin(Active& a);
  /// A chunk of KV is being computed in a pass of pass_s that begins now.
  void ship(std::size_t p, std::uint32_t id, double tokens, bool last, double pass_s);
  /// All of it has arrived: what was measured of link and wire.
  void measure(Active& a);

  // Events. A pair is a prefill node's link to a decode node.
  void onto_link(std::uint32_t chunk);
  void off_link(std::size_t pair, std::uint64_t event);
  void link_step();
  void look(std::size_t pair);

  /// What nodes say of codecs and links, into the coordinator's view.
  void report_prefill(std::size_t p);
  void report_decode(std::size_t d);

 private:
  struct LinkSim {
    SharedLink link;
    std::uint64_t event = 0;                 // the one that ends a chunk; others of this link are outdated
    double told_bytes = 0, told_busy_s = 0;  // of the link's account when it was last reported
    bool to_tell = false, look_due = false;
  };
  struct Encoder {
    double free_s = 0;
    std::vector<double> truth_bps, measured_bps;  // by profile
    std::vector<LinkSim> links;                   // by decode node
    std::vector<std::uint32_t> links_to_tell;
  };
  struct Decoder {
    double free_s = 0;
    std::vector<double> truth_bps, measured_bps;
  };
  [[nodiscard]] std::vector<double> truth(const Hardware& h, double CodecSpeed::* way) const;
  LinkSim& link_of(const Active& a) { return encoders_[a.k.prefill].links[a.k.decode]; }
  [[nodiscard]] SharedLink::Rate rate_of(std::size_t d) const {
    return {d == 0 ? first_links_ : scene_.spec.links, scene_.spec.link_bps};
  }
  [[nodiscard]] std::size_t pair(std::size_t p, std::size_t d) const { return p * decoders_.size() + d; }
  void land(const Chunk& c, double sent_s);
  void look_later(std::size_t p, std::size_t d);
  bool tighten_one(std::uint32_t id, double link_bps);
  void end_link_at(std::size_t p, std::size_t d);

  Scene& scene_;
  bool changes_;
  Timeline first_links_;  // to decode node 0
  std::vector<Encoder> encoders_;
  std::vector<Decoder> decoders_;
  Chunks chunks_;
};

}  // namespace sluice::sim
