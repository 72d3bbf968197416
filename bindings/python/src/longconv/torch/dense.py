# SPDX-License-Identifier: BSD-3-Clause
"""Long filters from every channel to every channel, made by networks of the position: CKConv and FlexConv. Parameters have
the names of the authors' implementations, whose checkpoints load.

Sources: Romero et al., CKConv: Continuous Kernel Convolution for Sequential Data (2022); Romero et al., FlexConv: Continuous
Kernel Convolutions with Differentiable Kernel Sizes (2022)."""
import torch
from torch import nn

from . import _inputs
from ._mixer import Operator
from ._taps import Family


class _DenseConvolution(nn.Module):
    """[batch, in_channels, seqlen] to [batch, out_channels, seqlen], causal.

    l_max is the number of positions of the kernel, which a sequence must not exceed; shorter ones see its first taps. A
    checkpoint's `train_length`, if it is set, takes its place."""

    def __init__(self, mixer, in_channels, out_channels, l_max, bias):
        super().__init__()
        _inputs.expect_whole(in_channels=in_channels, out_channels=out_channels, l_max=l_max)
        self.in_channels, self.out_channels, self.l_max = in_channels, out_channels, l_max
        self.register_buffer("train_length", torch.tensor([l_max], dtype=torch.int32))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.operator = Operator(mixer, in_channels, width=out_channels, bias=bias, layout="bdl")

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        length = state_dict.get(prefix + "train_length")
        if length is not None and not length.is_meta:
            self.l_max = length.item() or self.l_max  # 0: not used yet
            state_dict[prefix + "train_length"] = torch.full_like(length, self.l_max)
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.family = self._family()

    def forward(self, x):
        taps = self.family.taps(self._values(), _inputs.length_of("x", x, self.in_channels, "BDL"))
        return self.operator(x=x, filter=taps, **({} if self.bias is None else {"bias": self.bias}))

    def extra_repr(self):
        return f"{self.in_channels}, {self.out_channels}, l_max={self.l_max}, bias={self.bias is not None}"


class _Affine(nn.Module):
    """weight [rows, columns, 1] and bias; or, normed, the weights' directions and lengths."""

    def __init__(self, weight, bias, lengths=None):
        super().__init__()
        self.bias, weight = nn.Parameter(bias.clone()), nn.Parameter(weight[..., None].clone())
        if lengths is None:
            self.weight = weight
        else:
            self.weight_v, self.weight_g = weight, nn.Parameter(lengths[:, None, None].clone())


class _Net(nn.Module):
    """Modules by their names."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


class CKConv(_DenseConvolution):
    __doc__ = "Filters by a network of sines with normed weights: " + _DenseConvolution.__doc__

    def __init__(self, in_channels, out_channels, l_max, hidden_channels=32, omega_0=30.0, bias=True, init="uniform"):
        super().__init__("ckconv", in_channels, out_channels, l_max, bias)
        self.options = {"mlp_width": hidden_channels, "mlp_depth": 1, "omega": omega_0, "init": init}
        self.family = self._family()
        value = self.family.initial()
        self.Kernel = _Net(kernel_net=nn.ModuleDict({
            "0": _Affine(value["weight_in"], value["bias"][0], value["norm_in"]),
            "4": _Affine(value["weight_hidden"][0], value["bias"][1], value["norm_hidden"][0]),
            "8": _Affine(value["weight_out"], value["bias_out"], value["norm_out"])}))

    def _family(self):
        return Family("siren", self.out_channels * self.in_channels, self.l_max, **self.options)

    def _values(self):
        into, hidden, out = self.Kernel.kernel_net.values()
        return {"weight_in": into.weight_v, "weight_hidden": hidden.weight_v, "weight_out": out.weight_v,
                "norm_in": into.weight_g, "norm_hidden": hidden.weight_g, "norm_out": out.weight_g,
                "bias": torch.stack([into.bias, hidden.bias]), "bias_out": out.bias}


class _Gabor(nn.Module):
    def __init__(self, gamma, mu, frequency, phase):
        super().__init__()
        self.gamma, self.mu = nn.Parameter(gamma[:, None].clone()), nn.Parameter(mu[:, None].clone())
        self.linear = _Affine(frequency[:, None], phase)


class FlexConv(_DenseConvolution):
    __doc__ = ("Filters by a multiplicative network of Gabor functions, under a bell curve of learned width: "
               + _DenseConvolution.__doc__ + """

    mask_init_value  initial width of the bell curve, in half lengths
    mask_dynamic_cropping  are taps zero where the curve is below mask_threshold?""")

    def __init__(self, in_channels, out_channels, l_max, hidden_channels=32, no_layers=3, input_scale=25.6,
                 mask_init_value=0.075, mask_dynamic_cropping=True, mask_threshold=0.1, bias=True):
        super().__init__("flexconv", in_channels, out_channels, l_max, bias)
        _inputs.expect_whole(no_layers=no_layers)
        self.crop_at = torch.tensor(mask_threshold, device="cpu").item()
        self.register_buffer("mask_threshold", torch.tensor([self.crop_at]))
        self.register_buffer("temperature", torch.tensor([15.0]))  # of another curve, and not used: checkpoints have it
        self.options = {"mlp_width": hidden_channels, "mlp_depth": no_layers, "input_scale": input_scale,
                        "mask_sigma": mask_init_value, "crop": mask_dynamic_cropping}
        self.family = self._family()
        value = self.family.initial()
        self.Kernel = _Net(
            linear=nn.ModuleList(_Affine(*pair) for pair in zip(value["weight_hidden"], value["bias"])),
            output_linear=_Affine(value["weight_out"], value["bias_out"]),
            filters=nn.ModuleList(_Gabor(*rows) for rows in zip(*(
                value[name] for name in ("gamma", "mu", "frequency", "phase")))))
        self.mask_params = nn.Parameter(value["mask"][None])

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        threshold = state_dict.get(prefix + "mask_threshold")
        if threshold is not None and not threshold.is_meta:
            self.crop_at = threshold.item()
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _family(self):
        return Family("gabor", self.out_channels * self.in_channels, self.l_max, **self.options, crop_at=self.crop_at)

    def _values(self):
        net, gabors = self.Kernel, self.Kernel.filters
        return {"gamma": torch.stack([gabor.gamma for gabor in gabors]), "mu": torch.stack([gabor.mu for gabor in gabors]),
                "frequency": torch.stack([gabor.linear.weight for gabor in gabors]),
                "phase": torch.stack([gabor.linear.bias for gabor in gabors]),
                "weight_hidden": torch.stack([affine.weight for affine in net.linear]),
                "bias": torch.stack([affine.bias for affine in net.linear]),
                "weight_out": net.output_linear.weight, "bias_out": net.output_linear.bias, "mask": self.mask_params}
