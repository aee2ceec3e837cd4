"""Verbs: what can stand behind `pyrovae`, one module of this room for each.

Each has `run(words)`, and each but `train` has `parser()`, from which shells learn its flags.
"""

VERBS = {
    "train": "train a model, evaluate it on held-out data and keep both in a run folder",
    "compare": "train every combination of varied settings over several seeds, as one table",
    "evaluate": "estimate log p(x) of a run's model on held-out data",
    "score": "estimate log p(x) of each datum with its error, the least likely first if asked",
    "impute": "fill in the missing entries of data, several times over",
    "sample": "draw data from a run's model",
    "reconstruct": "put data beside what a run's model makes of them",
    "encode": "write the latents of data as a table or as arrays",
    "report": "write a page about a run, or about several side by side",
    "parts": "list every part there is, with its arguments",
    "completion": "print a script by which a shell completes the words of this command",
}
