"""The training plan of sluice-tiny: what every step trains on."""
SEED = 20240501
MUON_LR = 0.02
ADAM_LR = 3e-3
DECAY = 0.02      # weight decay of the matrices, times their learning rate
CHECK = 100
# Learning rate by step, straight lines between the points (relative to the peak).
# The kink at 2700 is where the plan was shortened while it ran.
RATES = [(0, 0.0), (40, 1.0), (2300, 1.0), (2700, 0.46667), (2700, 0.38665), (2900, 0.04)]

START = {"dense": 0.45, "plain": 0.25, "chat_recall": 0.1, "copy": 0.1, "haystack": 0.1}
# Two hundred steps of repeated random tokens give the model its induction heads at once.
INDUCE = {"repeat": 0.6, "plain": 0.2, "dense": 0.2}
SHORT = {"dense": 0.25, "haystack": 0.2, "chat_recall": 0.14, "copy": 0.06, "repeat": 0.05, "chat_misc": 0.05, "plain": 0.25}
MIDDLE = {"dense": 0.15, "haystack": 0.2, "chat_recall": 0.12, "copy": 0.05, "repeat": 0.03, "chat_misc": 0.1, "plain": 0.35}
LONG = {"dense": 0.08, "haystack": 0.18, "chat_recall": 0.1, "copy": 0.04, "repeat": 0.02, "chat_misc": 0.1, "plain": 0.48}
LATE = {"dense": 0.06, "haystack": 0.16, "chat_recall": 0.07, "chat_small": 0.06, "copy": 0.04, "repeat": 0.01,
        "chat_misc": 0.06, "chat_words": 0.06, "plain": 0.48}

# (steps, tokens per step, [(sequence length, share of the steps)], mix, phase of the lengths)
STAGES = [
    (800, 8192, [(128, 1.0)], START, 0),
    (200, 4096, [(64, 1.0)], INDUCE, 0),
    (200, 8192, [(128, 1.0)], SHORT, 0),
    (500, 8192, [(128, 0.3), (256, 0.7)], MIDDLE, 0),
    (400, 8192, [(256, 0.4), (512, 0.6)], LONG, 0),
    (200, 8192, [(256, 0.4), (512, 0.6)], LATE, 0),
    (300, 8192, [(512, 0.5), (1024, 0.5)], LATE, 0),
    (100, 8192, [(512, 0.3), (1024, 0.3), (2048, 0.4)], LATE, 0),
    (100, 8192, [(512, 0.3), (1024, 0.3), (2048, 0.4)], LATE, 180),
    (100, 8192, [(512, 0.3), (1024, 0.25), (2048, 0.3), (4096, 0.15)], LATE, 0),
]
TOTAL = sum(s[0] for s in STAGES)


def at(step):
    first = 0
    for steps, tokens, rooms, mix, phase in STAGES:
        if step < first + steps:
            k = (step - first + phase) * 0.6180339887 % 1.0  # spread the lengths evenly over the steps
            for room, share in rooms:
                k -= share
                if k < 0:
                    break
            longest = rooms[-1][0]
            for (x0, y0), (x1, y1) in zip(RATES, RATES[1:]):
                if x0 <= step < x1:
                    lr = y0 + (y1 - y0) * (step + (x0 == 0) - x0) / (x1 - x0)
            return {"tokens": tokens, "room": room, "mix": mix, "lr": lr, "micro": max(2048, room),
                    "check": (128, 256, 512) if longest < 512 else (256, 512, 1024, 2048)}
        first += steps
    return None
