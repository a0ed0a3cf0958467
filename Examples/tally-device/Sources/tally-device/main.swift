import MiniVMM

let kvm = try KVM()
var options = MachineOptions()
options.components.append(TallyComponent())
let machine = try Machine(kvm: kvm, guest: TallyGuest(), options: options)
let outcome = try machine.run(timeout: .seconds(30))
print(outcome.ending.summary)
