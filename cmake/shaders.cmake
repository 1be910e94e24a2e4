# SPDX-License-Identifier: MIT
# Placeholder body is replaced together with compute/device_vulkan.c.
