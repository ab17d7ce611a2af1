"""Galleries in Milvus, for more items or more servers than one machine holds. Needs the extra `milvus`."""
