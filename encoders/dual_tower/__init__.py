"""CLIP, SigLIP and SigLIP 2: two towers, one for texts and one for images, that end in one space.

`kinds` says how the three differ, `preparer` does the CPU half, `encoder` the forward pass. Fixed-resolution SigLIP 2
checkpoints call themselves `siglip`, the NaFlex ones `siglip2`.

Sources: CLIP (Radford et al., 2021), SigLIP (Zhai et al., 2023), SigLIP 2 (Tschannen et al., 2025).
"""
