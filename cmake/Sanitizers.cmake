# -DUPKEEP_SANITIZE=address,undefined instruments all targets of the build tree.
set(UPKEEP_SANITIZE "" CACHE STRING "comma separated list for -fsanitize=")
if(UPKEEP_SANITIZE)
  add_compile_options(-fsanitize=${UPKEEP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${UPKEEP_SANITIZE})
endif()
