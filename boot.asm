        bits 16
        org 0x7c00
        mov si, text
next:   lodsb
        test al, al
        jz done
        mov ah, 0x0e            ; BIOS: print AL
        int 0x10
        jmp next
done:   hlt
text:   db "Hello from my boot sector", 13, 10, 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
