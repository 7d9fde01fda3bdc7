"""What the machine offers: files, processes, memory, compiled programs, versions."""
