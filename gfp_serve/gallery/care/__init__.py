"""Looking after galleries: check, repair, snapshots, tables, copies, and the threshold for unknown queries."""
