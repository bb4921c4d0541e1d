"""A plain PyTorch Llama with the parameter names of HF `LlamaForCausalLM`."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, h, kv, hd, ff = (c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"],
                            c["head_dim"], c["intermediate_size"])
        self.h, self.kv, self.hd, self.eps = h, kv, hd, c["rms_norm_eps"]
        lin = lambda i, o: nn.Linear(i, o, bias=False)
        self.self_attn = nn.ModuleDict({"q_proj": lin(d, h * hd), "k_proj": lin(d, kv * hd),
                                        "v_proj": lin(d, kv * hd), "o_proj": lin(h * hd, d)})
        self.mlp = nn.ModuleDict({"gate_proj": lin(d, ff), "up_proj": lin(d, ff), "down_proj": lin(ff, d)})
        self.input_layernorm = nn.RMSNorm(d, eps=self.eps)
        self.post_attention_layernorm = nn.RMSNorm(d, eps=self.eps)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        a, m = self.self_attn, self.mlp
        n = self.input_layernorm(x)
        qkv = F.linear(n, torch.cat((a["q_proj"].weight, a["k_proj"].weight, a["v_proj"].weight)))
        qkv = qkv.view(b, t, self.h + 2 * self.kv, self.hd)
        qk, v = qkv[:, :, :self.h + self.kv], qkv[:, :, self.h + self.kv:]
        lo, hi = qk.chunk(2, -1)
        qk = torch.cat((lo * cos - hi * sin, hi * cos + lo * sin), -1).to(v.dtype)
        q, k = qk[:, :, :self.h], qk[:, :, self.h:]
        g = self.h // self.kv
        k, v = k.repeat_interleave(g, 2), v.repeat_interleave(g, 2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if t <= 256:  # plain attention is the faster one for short sequences
            s = (q @ k.transpose(-1, -2)).float() * self.hd ** -0.5
            s = s.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf"))
            y = s.softmax(-1).to(v.dtype) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + a["o_proj"](y.transpose(1, 2).reshape(b, t, -1))
        n = self.post_attention_layernorm(x)
        gate, up = F.linear(n, torch.cat((m["gate_proj"].weight, m["up_proj"].weight))).chunk(2, -1)
        return x + m["down_proj"](F.silu(gate) * up)


class Net(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = nn.RMSNorm(c["hidden_size"], eps=c["rms_norm_eps"])
        half = c["head_dim"] // 2
        freq = 1.0 / c["rope_theta"] ** (torch.arange(half, dtype=torch.float64) / half)
        ang = torch.arange(c["max_position_embeddings"], dtype=torch.float64)[:, None] * freq
        self.register_buffer("cos", ang.cos().float()[:, None, :], persistent=False)
        self.register_buffer("sin", ang.sin().float()[:, None, :], persistent=False)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        for layer in self.layers:
            for name, p in layer.named_parameters():
                if "layernorm" in name:
                    continue
                if "o_proj" in name or "down_proj" in name:
                    nn.init.zeros_(p)
                else:
                    nn.init.normal_(p, std=p.shape[1] ** -0.5)

    def hidden(self, ids):
        t = ids.shape[1]
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t])
        return self.norm(x)

    def forward(self, ids):
        return F.linear(self.hidden(ids), self.embed_tokens.weight)

    def loss(self, ids, targets, weights):
        """Weighted mean of the next-token cross entropy."""
        logits = self(ids)
        nll = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        return (nll * weights.flatten()).sum() / weights.sum()

    def hf_state(self, dtype=torch.bfloat16):
        return {"model." + k: v.detach().to(dtype).contiguous() for k, v in self.state_dict().items()}
