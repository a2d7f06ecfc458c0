"""Metrics as handlers report them (reference: metrics.md, section 13). Nothing here needs torch, psutil or PyYAML."""
