from typing import Any

def DEFINE_config_file(
  name: str,
  default: str | None = ...,
  help_string: str = ...,
  lock_config: bool = ...,
  **kwargs: Any,
) -> Any: ...
def __getattr__(name: str) -> Any: ...
