# One warning set for everything of ours; warnings are errors.
add_library(upkeep_warnings INTERFACE)
target_compile_options(upkeep_warnings INTERFACE -Wall -Wextra -Werror)
