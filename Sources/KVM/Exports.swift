// Guest memory and addresses are part of this product: a program that imports KVM need not know that they are a layer of
// their own. Only `@_exported` says so; there is no other way to hand a module on.
@_exported public import Memory
