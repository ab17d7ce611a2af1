"""Parts of benchmarks/gallery.py: galleries of vectors like real ones, and what is compared with what."""
