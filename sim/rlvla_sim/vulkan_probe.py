"""Renders one image and prints what drew it, as one line of JSON.

Run it in a process of its own (`python -m rlvla_sim.vulkan_probe`): a broken Vulkan driver does not raise, it ends
the process, and the caller must survive to say what to do.
"""

import ctypes
import json
import sys
import time
from pathlib import Path

import sapien

from rlvla_sim.camera_renderer import no_reflections

SIZE = 64
"""Width and height of the probe image, pixels."""

VULKAN_1_2 = (1 << 22) | (2 << 12)
"""The API version that has driver properties, as a Vulkan version word."""


class ApplicationInfo(ctypes.Structure):
    """VkApplicationInfo of the Vulkan specification."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("application_name", ctypes.c_char_p),
        ("application_version", ctypes.c_uint32),
        ("engine_name", ctypes.c_char_p),
        ("engine_version", ctypes.c_uint32),
        ("api_version", ctypes.c_uint32),
    )


class InstanceCreateInfo(ctypes.Structure):
    """VkInstanceCreateInfo, without layers and extensions."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application_info", ctypes.POINTER(ApplicationInfo)),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


class DriverProperties(ctypes.Structure):
    """VkPhysicalDeviceDriverProperties: who wrote the driver, and its version in words."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("driver_id", ctypes.c_uint32),
        ("driver_name", ctypes.c_char * 256),
        ("driver_info", ctypes.c_char * 256),
        ("conformance_version", ctypes.c_uint8 * 4),
    )


class DeviceProperties(ctypes.Structure):
    """VkPhysicalDeviceProperties2; of the inner structure (824 bytes) only the name is read."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("next", ctypes.POINTER(DriverProperties)),
        ("api_driver_vendor_device_type", ctypes.c_uint32 * 5),
        ("device_name", ctypes.c_char * 256),
        ("limits", ctypes.c_uint8 * 1024),
    )


def load_vulkan() -> ctypes.CDLL | None:
    """The system's Vulkan loader, or the one that ships inside sapien."""
    shipped = sorted((Path(sapien.__file__).parent / "vulkan_library").glob("libvulkan.so*"))
    for name in ["libvulkan.so.1", *map(str, shipped)]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def drivers() -> dict[str, str]:
    """Device name -> the driver in its own words, e.g. `Mesa 25.0.7 (LLVM 15.0.6)`; empty without a Vulkan loader."""
    vulkan = load_vulkan()
    if vulkan is None:
        return {}
    application = ApplicationInfo(type=0, api_version=VULKAN_1_2)
    info = InstanceCreateInfo(type=1, application_info=ctypes.pointer(application))
    instance = ctypes.c_void_p()
    if vulkan.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance)) != 0:
        return {}
    count = ctypes.c_uint32()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    devices = (ctypes.c_void_p * count.value)()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices)
    found = {}
    for device in devices:
        driver = DriverProperties(type=1000196000)
        properties = DeviceProperties(type=1000059001, next=ctypes.pointer(driver))
        vulkan.vkGetPhysicalDeviceProperties2(ctypes.c_void_p(device), ctypes.byref(properties))
        found[properties.device_name.decode()] = driver.driver_info.decode() or driver.driver_name.decode()
    vulkan.vkDestroyInstance(instance, None)
    return found


def render() -> dict[str, object]:
    """Draw a lit box twice: the first image compiles the shaders, the second shows the lasting cost."""
    started = time.perf_counter()
    sapien.render.set_camera_shader_dir("minimal")  # the one that the worlds use
    scene = sapien.Scene([sapien.physx.PhysxCpuSystem(), sapien.render.RenderSystem()])
    scene.set_ambient_light([0.6, 0.6, 0.6])
    builder = scene.create_actor_builder()
    builder.add_box_visual(half_size=[0.2, 0.2, 0.2], material=[0.8, 0.1, 0.1])
    builder.build_static(name="box").set_pose(sapien.Pose([1.0, 0.0, 0.0]))
    camera = scene.add_camera(name="probe", width=SIZE, height=SIZE, fovy=1.0, near=0.01, far=10.0)
    camera.set_texture("BRDFLUT", no_reflections())
    scene.update_render()
    camera.take_picture()
    image = camera.get_picture("Color")
    first = time.perf_counter() - started
    started = time.perf_counter()
    camera.take_picture()
    image = camera.get_picture("Color")
    again = time.perf_counter() - started
    red, _, blue = image[SIZE // 2, SIZE // 2, :3]
    return {
        "device": scene.render_system.device.name,
        "image_is_right": bool(image.shape == (SIZE, SIZE, 4) and red > 2 * blue),
        "first_image_s": round(first, 3),
        "image_ms": round(1000 * again, 2),
    }


def main() -> int:
    """Print the JSON line; 0 where the image shows the red box."""
    report = render()
    report["driver"] = drivers().get(str(report["device"]))
    print(json.dumps(report))
    return 0 if report["image_is_right"] else 1


if __name__ == "__main__":
    sys.exit(main())
