"""The training plan of sluice-tiny: what every step trains on."""
SEED = 20240501
MUON_LR = 0.02
ADAM_LR = 3e-3
DECAY = 0.02      # weight decay of the matrices, times their learning rate
CHECK = 100
WARMUP = 40

SHORT = {"dense": 0.45, "plain": 0.25, "chat_recall": 0.1, "copy": 0.1, "haystack": 0.1}

# (steps, tokens per step, [(sequence length, share)], mix)
STAGES = [
    (800, 8192, [(128, 1.0)], SHORT),
]


def at(step):
    first = 0
    for i, (steps, tokens, rooms, mix) in enumerate(STAGES):
        if step < first + steps:
            k = (step - first) * 0.6180339887 % 1.0  # spread the lengths evenly over the steps
            for room, share in rooms:
                k -= share
                if k < 0:
                    break
            lr = min(1.0, (step + 1) / WARMUP)
            return {"tokens": tokens, "room": room, "mix": mix, "lr": lr, "micro": max(2048, room),
                    "check": (128, 256, 512) if room < 512 else (256, 512, 1024, 2048)}
        first += steps
    return None
