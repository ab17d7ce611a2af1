"""Looking after galleries: check, repair, snapshots, tables, copies, and thresholds for what is unknown."""
