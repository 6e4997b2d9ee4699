# 32-bit ARM boards with NEON, as deploy/target.sh has it: Raspberry Pi 2 and later with a 32-bit system.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_C_FLAGS_INIT "-march=armv7-a -mfpu=neon -mfloat-abi=hard")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-Wl,-z,max-page-size=65536")
